"""What an API in front is to the ingress: its request into a chat completion, the answer and its chunks back.

On the log there is one shape only. A front translates at the door, on the way in and on the way out, without state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import orjson

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body

DONE = b"data: [DONE]\n\n"


class EventWriter(Protocol):
    """Writes one stream as server-sent events. It is given every chunk from the first on, in order."""

    def event(self, number: int, chunk: bytes) -> bytes:
        """The events that a chunk becomes; none, if it has nothing for this API. The last has the chunk's number as id.

        So who comes back with that id has had the whole chunk.
        """
        ...

    def last(self, error: bytes | None) -> bytes:
        """The events of the end. ``error`` is OpenAI's error object, if it does not end well."""
        ...


class ApiTranslator(Protocol):
    """One API."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """The request as a chat completion's, or why it can't be one."""
        ...

    def from_completion(self, body: bytes, asked: bytes) -> bytes:
        """A chat completion in this API's shape. ``asked`` is the body as its caller wrote it."""
        ...

    def from_error(self, error: bytes) -> bytes:
        """OpenAI's error object in this API's shape."""
        ...

    def event_writer(self, asked: bytes) -> EventWriter:
        """The writer of one stream. ``asked`` is the body as its caller wrote it."""
        ...


class ChunkEvents:
    """OpenAI's own stream: the chunks as they are, each with its number, so that a client can say where it was."""

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``."""
        return b"id: %d\ndata: %b\n\n" % (number, chunk)

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``."""
        return DONE if error is None else b"data: %b\n\n" % error


class OpenAITranslator:
    """``/v1/chat/completions`` and ``/v1/embeddings``: what is on the log."""

    def to_chat_request(self, body: bytes) -> bytes | Failure:
        """See ``ApiTranslator``."""
        return body

    def from_completion(self, body: bytes, asked: bytes) -> bytes:  # noqa: ARG002 - see Front
        """See ``ApiTranslator``."""
        return body

    def from_error(self, error: bytes) -> bytes:
        """See ``ApiTranslator``."""
        return error

    def event_writer(self, asked: bytes) -> EventWriter:  # noqa: ARG002 - see Front
        """See ``ApiTranslator``."""
        return ChunkEvents()


def named_events(events: Sequence[dict[str, Any]], number: int | None = None) -> bytes:
    """Server-sent events that say their type twice, as those of Messages and of Responses do.

    Args:
        events: in order.
        number: of the chunk that they come from, which the last of them has as its id.

    """
    written = [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in events]
    if written and number is not None:
        written[-1] = b"id: %d\n%b" % (number, written[-1])
    return b"".join(written)


def stream_cut(reason: str) -> bytes:
    """The error of a stream that we end ourselves."""
    message = f"The stream was cut: {reason}."
    return error_body(Failure(status=504, type="server_error", code="stream_cut", message=message))


def serial(completion: Mapping[str, Any]) -> str:
    """The part of a completion's id that makes it unique. A chunk serves as well."""
    return str(completion.get("id") or "").removeprefix("chatcmpl-")
