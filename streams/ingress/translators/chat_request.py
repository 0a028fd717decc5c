"""Parts of the translation into a chat completion request that several APIs share."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from schemas.events.parts import Failure
from schemas.json_types import JsonObject
from schemas.openai import bodies as openai
from schemas.openai import errors as openai_errors
from streams.ingress.translators.errors import UntranslatableError, invalid

ParameterWriter = Callable[[JsonObject, object], None]
"""Writes one parameter of another API, whose value is the second argument, into a chat completion request."""


def translate_body(body: bytes, chat_body: Callable[[JsonObject], JsonObject]) -> bytes | Failure:
    """Return a body as a chat completion request, or why it can't be translated."""
    document = openai.parse_body(body)
    if isinstance(document, Failure):
        return document
    try:
        return orjson.dumps(chat_body(document))
    except UntranslatableError as error:
        return openai_errors.invalid("invalid_value", error.message, error.param)


def require_object(path: str, value: object) -> JsonObject:
    """Return a JSON object.

    Raises:
        UntranslatableError: the value is not an object.

    """
    if not isinstance(value, dict):
        raise invalid(path, "must be an object")
    return value


def write_stream(chat: JsonObject, value: object) -> None:
    """Write ``stream``. OpenAI sends a stream's usage only on request; other APIs always do."""
    chat["stream"] = value
    if value:
        chat["stream_options"] = {"include_usage": True}


def max_tokens_writer(name: str) -> ParameterWriter:
    """Return the writer of the parameter that limits the tokens of an answer."""

    def write(chat: JsonObject, value: object) -> None:
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(name, "must be a number of at least 1")
        chat["max_completion_tokens"] = value

    return write
