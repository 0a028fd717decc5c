"""``/v1/responses``: OpenAI's Responses API in front, without state, so that its clients reach any provider.

Nothing is kept here for a later call: what needs that (``previous_response_id``, ``conversation``, ``background``) is
refused by its name. ``store`` is taken, since it is true unless a caller says otherwise, and answered with false.
"""

from __future__ import annotations

from typing import Any

import orjson

from schemas.events.parts import Failure
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.ingress.translators.errors import UntranslatableError
from streams.ingress.translators.parameter_names import rename_parameters
from streams.ingress.translators.responses.request import chat_body
from streams.ingress.translators.responses.response import response
from streams.ingress.translators.responses.stream import ResponsesEventStream
from streams.ingress.translators.translator import EventWriter, named_events

PARAMETER_NAMES = {
    "messages": "input",
    "max_completion_tokens": "max_output_tokens",
    "reasoning_effort": "reasoning.effort",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "logprobs": "include",
    "tools": "tools",
}
"""What a response's parameter is called, by the chat's name."""


class ResponsesTranslator:
    """OpenAI's Responses API."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """See ``ApiTranslator``."""
        document = openai.parse_body(body)
        if isinstance(document, Failure):
            return document
        try:
            return orjson.dumps(chat_body(document))
        except UntranslatableError as fault:
            return invalid("invalid_value", fault.message, fault.param)

    def from_completion(self, body: bytes, asked: bytes) -> bytes:
        """See ``ApiTranslator``."""
        return orjson.dumps(response(orjson.loads(body), orjson.loads(asked)))

    def from_error(self, error: bytes) -> bytes:
        """See ``ApiTranslator``. It is OpenAI's own error object."""
        return orjson.dumps(rename_parameters(orjson.loads(error), PARAMETER_NAMES))

    def event_writer(self, asked: bytes) -> EventWriter:
        """See ``ApiTranslator``."""
        return ResponseEvents(orjson.loads(asked))


class ResponseEvents:
    """A Responses stream on the wire. There is no ``[DONE]``: the last event says how it ended."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._events = ResponsesEventStream(asked)
        self._sequence = 0

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return named_events(self._numbered(self._events.feed(orjson.loads(chunk))), number)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``."""
        if error is None:
            return named_events(self._numbered(self._events.finish()))
        return named_events(self._numbered(self._events.fail(rename_parameters(orjson.loads(error), PARAMETER_NAMES))))

    def _numbered(self, events: list[dict[str, Any]]) -> list[dict[str, Any]]:
        numbered = [{**event, "sequence_number": self._sequence + place} for place, event in enumerate(events)]
        self._sequence += len(events)
        return numbered
