"""A fault in the words of the API that was asked: on the log it names a chat's parameters, which nobody wrote there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

JSON = dict[str, Any]

_PATH = re.compile(r"(\w+)(\[\d+\])?(.*)")


def rename_parameters(error: JSON, names: Mapping[str, str]) -> JSON:
    """OpenAI's error object with its parameter, also in the message, by the name that the caller has for it.

    Of messages the place is left out: the caller's list is another one than the log's.

    Args:
        error: with or without a parameter.
        names: the caller's names by the log's.

    """
    said = error.get("error")
    param = said.get("param") if isinstance(said, dict) else None
    if not isinstance(said, dict) or not isinstance(param, str) or (new := _rename(param, names)) == param:
        return error
    message = str(said.get("message") or "").replace(param, new, 1)
    return {**error, "error": {**said, "param": new, "message": message}}


def _rename(param: str, names: Mapping[str, str]) -> str:
    found = _PATH.fullmatch(param)
    if found is None or found[1] not in names:
        return param
    place = found[2] or ""
    return names[found[1]] + ("[]" if place and found[1] == "messages" else place) + found[3].replace(".function", "")
