"""Renaming of parameters in errors, which name the parameters of a chat completion request."""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.json_types import JsonObject

_PATH = re.compile(r"(\w+)(\[\d+\])?(.*)")


def rename_parameters(error: JsonObject, names: Mapping[str, str]) -> JsonObject:
    """Return OpenAI's error object with the parameter's name in the client's API, also in the message.

    The index of a message is left out, because the client's list differs from that of the chat completion request.

    Args:
        error: with or without a parameter.
        names: the client's names by those of a chat completion request.

    """
    details = error.get("error")
    param = details.get("param") if isinstance(details, dict) else None
    if not isinstance(details, dict) or not isinstance(param, str) or (new := _rename(param, names)) == param:
        return error
    message = str(details.get("message") or "").replace(param, new, 1)
    return {**error, "error": {**details, "param": new, "message": message}}


def _rename(param: str, names: Mapping[str, str]) -> str:
    found = _PATH.fullmatch(param)
    if found is None or found[1] not in names:
        return param
    index = found[2] or ""
    return names[found[1]] + ("[]" if index and found[1] == "messages" else index) + found[3].replace(".function", "")
