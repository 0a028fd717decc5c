"""Every text of a request's body, wherever it stands: what a policy must see, and nothing that it would misread."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from schemas.openai.bodies import MAX_DEPTH, is_too_deep, nesting_depth
from schemas.openai.tagged_unions import OpenAIModel

_OWN = frozenset(OpenAIModel.field_names)
"""Names of fields that OpenAI has chosen: a rule against the word ``content`` must not refuse every request."""

_ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
_TYPES = frozenset({"text", "refusal", "image_url", "input_audio", "file", "function", "custom"})
_FORMATS = frozenset(
    {"json_object", "json_schema", "object", "array", "string", "number", "integer", "boolean", "null"}
)
_KINDS = _ROLES | _TYPES | _FORMATS
"""Values of ``role`` and ``type`` that are the protocol's words, not the caller's."""

_DATA_URL = re.compile(r"data:[\w.+/;=-]{0,200};base64,[A-Za-z0-9+/_=-]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]*")
_BINARY = {("image_url", "url"): _DATA_URL, ("file", "file_data"): _DATA_URL, ("input_audio", "data"): _BASE64}
"""Where pictures and sound stand. Digits in them mean nothing."""

_MIN_NUMBER_DIGITS = 1_000_000
"""A smaller one holds no card, phone or account."""

_TOO_DEEP = f"a tool call's arguments nest deeper than {MAX_DEPTH} levels"


class UnscannableContentError(Exception):
    """A policy can't see what stands here. The message is for the caller, and says what to send instead."""


class BodyTextVisitor:
    """Walks a body and gives back a copy of it in which every text is what ``text`` made of it.

    ``name`` is shown the names that the caller has chosen for fields; it can't change them.
    """

    def __init__(self, text: Callable[[str], str], name: Callable[[str], object]) -> None:
        self._text = text
        self._name = name

    def visit(self, value: Any, parent: str = "", field: str = "") -> Any:  # noqa: ANN401 - a JSON tree
        """The copy. ``parent`` and ``field`` are the names of the fields around the value."""
        if isinstance(value, str):
            return self._string(value, parent, field)
        if isinstance(value, dict):
            return {name: self._member(name, item, field) for name, item in value.items()}
        if isinstance(value, list):
            return [self.visit(item, parent, field) for item in value]
        if type(value) is int and abs(value) >= _MIN_NUMBER_DIGITS and field != "seed":
            return self._number(value)
        return value

    def _member(self, name: str, value: Any, parent: str) -> Any:  # noqa: ANN401 - a JSON tree
        if name not in _OWN:
            self._name(name)
        return self.visit(value, parent, name)

    def _string(self, value: str, parent: str, field: str) -> str:
        if field in ("role", "type") and value in _KINDS:
            return value
        if field == "arguments":
            return self._json(value)
        binary = _BINARY.get((parent, field))
        if binary is not None and binary.fullmatch(value):
            return value
        return self._text(value)

    def _json(self, value: str) -> str:
        """JSON in a text, as a tool's arguments are: read, since an escape can hide what it holds or be torn apart."""
        try:
            inner = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            if is_too_deep(error):
                raise UnscannableContentError(_TOO_DEEP) from None
            return self._text(value)  # the model's, cut off or never valid
        if not isinstance(inner, dict | list):
            return self._text(value)
        if nesting_depth(inner) > MAX_DEPTH:
            raise UnscannableContentError(_TOO_DEEP)
        return orjson.dumps(self.visit(inner)).decode()

    def _number(self, value: int) -> int | str:
        before = str(value)
        after = self._text(before)
        return value if after == before else after
