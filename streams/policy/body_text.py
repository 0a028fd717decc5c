"""Visitor of all texts of a request body that a policy has to check."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from schemas.openai.bodies import MAX_DEPTH, is_too_deep, nesting_depth
from schemas.openai.tagged_unions import OpenAIModel

_OPENAI_NAMES = frozenset(OpenAIModel.field_names)
"""Field names of OpenAI's API: a rule against the word ``content`` must not block every request."""

_ROLES = frozenset({"developer", "system", "user", "assistant", "tool", "function"})
_TYPES = frozenset({"text", "refusal", "image_url", "input_audio", "file", "function", "custom"})
_FORMATS = frozenset(
    {"json_object", "json_schema", "object", "array", "string", "number", "integer", "boolean", "null"}
)
_PROTOCOL_VALUES = _ROLES | _TYPES | _FORMATS
"""Values of ``role`` and ``type`` that the API defines, not the caller."""

_DATA_URL = re.compile(r"data:[\w.+/;=-]{0,200};base64,[A-Za-z0-9+/_=-]*")
_BASE64 = re.compile(r"[A-Za-z0-9+/_=-]*")
_BINARY = {("image_url", "url"): _DATA_URL, ("file", "file_data"): _DATA_URL, ("input_audio", "data"): _BASE64}
"""Fields with images, files and audio, which are not text."""

_MIN_NUMBER_DIGITS = 1_000_000
"""A smaller number is too short for a card, phone or account number."""

_TOO_DEEP = f"The arguments of a tool call are nested deeper than {MAX_DEPTH} levels."


class UnscannableContentError(Exception):
    """A body holds content that a policy can't read. The message is for the caller."""


class BodyTextVisitor:
    """Returns a copy of a body in which every text is replaced by a function's result.

    Args:
        rewrite_text: returns the replacement of a text.
        check_name: receives the field names that the caller has chosen. It can't change them.

    """

    def __init__(self, rewrite_text: Callable[[str], str], check_name: Callable[[str], object]) -> None:
        self._rewrite_text = rewrite_text
        self._check_name = check_name

    def visit(self, value: Any, parent: str = "", field: str = "") -> Any:  # noqa: ANN401 - a JSON tree
        """Return the copy. ``parent`` and ``field`` are the names of the enclosing fields."""
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
        if name not in _OPENAI_NAMES:
            self._check_name(name)
        return self.visit(value, parent, name)

    def _string(self, value: str, parent: str, field: str) -> str:
        if field in ("role", "type") and value in _PROTOCOL_VALUES:
            return value
        if field == "arguments":
            return self._json(value)
        binary = _BINARY.get((parent, field))
        if binary is not None and binary.fullmatch(value):
            return value
        return self._rewrite_text(value)

    def _json(self, value: str) -> str:
        """Rewrite JSON in a text, such as a tool's arguments. It is parsed, because escapes can hide a match."""
        try:
            inner = orjson.loads(value)
        except orjson.JSONDecodeError as error:
            if is_too_deep(error):
                raise UnscannableContentError(_TOO_DEEP) from None
            return self._rewrite_text(value)  # written by a model: truncated or invalid
        if not isinstance(inner, dict | list):
            return self._rewrite_text(value)
        if nesting_depth(inner) > MAX_DEPTH:
            raise UnscannableContentError(_TOO_DEEP)
        return orjson.dumps(self.visit(inner)).decode()

    def _number(self, value: int) -> int | str:
        before = str(value)
        after = self._rewrite_text(before)
        return value if after == before else after
