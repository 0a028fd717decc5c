"""``/v1/responses``: OpenAI's Responses API in front, without state, so that its clients reach any provider.

Nothing is kept here for a later call: what needs that (``previous_response_id``, ``conversation``, ``background``) is
refused by its name. ``store`` is taken, since it is true unless a caller says otherwise, and answered with false.
"""

from __future__ import annotations

from typing import Any

import orjson

from schemas import openai
from schemas.events import Failure
from schemas.faults import invalid
from streams.fronts.front import EventWriter, named_event
from streams.fronts.responses_answer import response
from streams.fronts.responses_request import chat_body
from streams.fronts.responses_stream import Events
from streams.fronts.untranslatable import UntranslatableError


class ResponsesFront:
    """OpenAI's Responses API."""

    def ask(self, body: bytes) -> bytes | Failure:
        """See ``Front``."""
        document = openai.parse(body)
        if isinstance(document, Failure):
            return document
        try:
            return orjson.dumps(chat_body(document))
        except UntranslatableError as fault:
            return invalid("invalid_value", fault.message, fault.param)

    def answer(self, body: bytes, asked: bytes) -> bytes:
        """See ``Front``."""
        return orjson.dumps(response(orjson.loads(body), orjson.loads(asked)))

    def refusal(self, error: bytes) -> bytes:
        """See ``Front``. It is OpenAI's own error object."""
        return error

    def writer(self, asked: bytes) -> EventWriter:
        """See ``Front``."""
        return ResponseEvents(orjson.loads(asked))


class ResponseEvents:
    """A Responses stream on the wire. There is no ``[DONE]``: the last event says how it ended."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self._events = Events(asked)
        self._sequence = 0

    def event(self, number: int, chunk: bytes) -> bytes:  # noqa: ARG002 - one chunk becomes several events, or none
        """See ``EventWriter``."""
        return self._written(self._events.feed(orjson.loads(chunk)))

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``."""
        return self._written(self._events.finish() if error is None else self._events.fail(orjson.loads(error)))

    def _written(self, events: list[dict[str, Any]]) -> bytes:
        numbered = [{**event, "sequence_number": self._sequence + place} for place, event in enumerate(events)]
        self._sequence += len(events)
        return b"".join(map(named_event, numbered))
