"""Interface of an API translator: its requests become chat completions, and answers and chunks are translated back.

Kafka holds chat completions only. A translator works in the ingress, in both directions, without state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body

DONE = b"data: [DONE]\n\n"


class EventWriter(Protocol):
    """Writes one stream as server-sent events. It receives every chunk from the first on, in order."""

    def event(self, number: int, chunk: bytes) -> bytes:
        """Return the events of a chunk; none if it has nothing for this API.

        The last event has the chunk's number as id, so a client that resumes after this id has the whole chunk.
        """
        ...

    def last(self, error: bytes | None) -> bytes:
        """Return the last events. ``error`` is OpenAI's error object if the stream fails."""
        ...


class ApiTranslator(Protocol):
    """Translator of one API."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """Return the request as a chat completion request, or why it can't be translated."""
        ...

    def from_completion(self, body: bytes, original_body: bytes) -> bytes:
        """Translate a chat completion. ``original_body`` is the body as the client sent it."""
        ...

    def from_error(self, error: bytes) -> bytes:
        """Translate OpenAI's error object."""
        ...

    def event_writer(self, original_body: bytes) -> EventWriter:
        """Return a writer of one stream. ``original_body`` is the body as the client sent it."""
        ...


class ChunkEvents:
    """Writer of OpenAI's own stream: the chunks unchanged, each with its number as id, so that a client can resume."""

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return b"id: %d\ndata: %b\n\n" % (number, chunk)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``."""
        return DONE if error is None else b"data: %b\n\n" % error


class OpenAITranslator:
    """Translator of ``/v1/chat/completions`` and ``/v1/embeddings``, whose format needs no translation."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """See ``ApiTranslator``."""
        return body

    def from_completion(self, body: bytes, original_body: bytes) -> bytes:  # noqa: ARG002 - see ApiTranslator
        """See ``ApiTranslator``."""
        return body

    def from_error(self, error: bytes) -> bytes:
        """See ``ApiTranslator``."""
        return error

    def event_writer(self, original_body: bytes) -> EventWriter:  # noqa: ARG002 - see ApiTranslator
        """See ``ApiTranslator``."""
        return ChunkEvents()


def named_events(events: Sequence[dict[str, Any]], number: int | None = None) -> bytes:
    """Return server-sent events with their type also in the ``event`` line, as Messages and Responses have them.

    Args:
        events: in order.
        number: number of their chunk, which the last event has as its id.

    """
    lines = [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events]
    if lines and number is not None:
        lines[-1] = b"id: %d\n%b" % (number, lines[-1])
    return b"".join(lines)


def stream_cut(reason: str) -> bytes:
    """Return the error object of a stream that the ingress ends."""
    message = f"The stream was cut: {reason}."
    return error_body(Failure(status=504, type="server_error", code="stream_cut", message=message))


def serial(completion: Mapping[str, Any]) -> str:
    """Return the unique part of a completion's id, also from a chunk."""
    return str(completion.get("id") or "").removeprefix("chatcmpl-")
