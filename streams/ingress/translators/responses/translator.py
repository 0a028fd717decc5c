"""Translator of ``/v1/responses``: clients of OpenAI's Responses API reach every provider, without state.

Nothing is kept for a later call: parameters that need state (``previous_response_id``, ``conversation``,
``background``) are refused by name. ``store`` is accepted, because its default is true, and answered with false.
"""

from __future__ import annotations

import orjson

from schemas.events.parts import Failure
from schemas.json_types import JsonObject
from streams.ingress.translators.chat_request import translate_body
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
"""Parameter names of Responses, by the name in a chat completion request."""


class ResponsesTranslator:
    """OpenAI's Responses API."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """See ``ApiTranslator``."""
        return translate_body(body, chat_body)

    def from_completion(self, body: bytes, original_body: bytes) -> bytes:
        """See ``ApiTranslator``."""
        return orjson.dumps(response(orjson.loads(body), orjson.loads(original_body)))

    def from_error(self, error: bytes) -> bytes:
        """See ``ApiTranslator``. It is OpenAI's own error object."""
        return orjson.dumps(rename_parameters(orjson.loads(error), PARAMETER_NAMES))

    def event_writer(self, original_body: bytes) -> EventWriter:
        """See ``ApiTranslator``."""
        return ResponseEvents(orjson.loads(original_body))


class ResponseEvents:
    """Writer of a Responses stream. There is no ``[DONE]``: the last event holds the status."""

    def __init__(self, request: JsonObject) -> None:
        self._events = ResponsesEventStream(request)
        self._sequence = 0

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return named_events(self._with_numbers(self._events.feed(orjson.loads(chunk))), number)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``."""
        if error is None:
            return named_events(self._with_numbers(self._events.finish()))
        return named_events(
            self._with_numbers(self._events.fail(rename_parameters(orjson.loads(error), PARAMETER_NAMES)))
        )

    def _with_numbers(self, events: list[JsonObject]) -> list[JsonObject]:
        numbered = [{**event, "sequence_number": self._sequence + index} for index, event in enumerate(events)]
        self._sequence += len(events)
        return numbered
