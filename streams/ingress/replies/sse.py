"""Server-sent events: writes a stream in the format of the client's API."""

from __future__ import annotations

import asyncio

import structlog
from starlette.types import Send

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body
from streams.ingress.replies.pending import PendingReply, WaitEnd
from streams.ingress.replies.reader import Reply
from streams.ingress.replies.stream_buffer import StreamBuffer
from streams.ingress.translators.translator import ChunkEvents, EventWriter, stream_cut

_log = structlog.get_logger()

_UNTRANSLATABLE = error_body(
    Failure(
        status=500,
        type="server_error",
        code="internal_error",
        message="A part of the stream can't be translated. GET /v1/requests/{id} returns the whole answer.",
    )
)

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # otherwise nginx buffers the chunks
)


class SafeEvents:
    """Writer around another one that can fail: then the stream ends with an error, and not with a broken connection."""

    def __init__(self, stream: StreamBuffer) -> None:
        self._request_id = stream.request_id
        self._events: EventWriter = ChunkEvents()
        self._has_failed = False
        try:
            self._events = stream.writer()
        except Exception as error:  # noqa: BLE001 - see the class
            self._fail(error)

    def event(self, number: int, chunk: bytes) -> bytes:
        """See ``EventWriter``. After a failure there are no more events."""
        try:
            return b"" if self._has_failed else self._events.event(number, chunk)
        except Exception as error:  # noqa: BLE001 - see the class
            self._fail(error)
            return b""

    def last(self, error: bytes | None) -> bytes:
        """See ``EventWriter``."""
        try:
            return self._events.last(_UNTRANSLATABLE if self._has_failed else error)
        except Exception as fault:  # noqa: BLE001 - see the class
            self._fail(fault)
            return ChunkEvents().last(error or _UNTRANSLATABLE)

    def _fail(self, error: Exception) -> None:
        self._has_failed = True
        _log.error("stream.untranslatable", request_id=self._request_id, error=type(error).__name__)


async def has_begun(stream: StreamBuffer, pending: PendingReply) -> bool:
    """Wait for the first chunk or the end of the wait, and return whether there is a chunk."""
    first, end = asyncio.ensure_future(stream.wait_for_first_chunk()), asyncio.ensure_future(pending.wait())
    try:
        await asyncio.wait({first, end}, return_when=asyncio.FIRST_COMPLETED)
        return first.done() and first.result()
    finally:
        first.cancel()
        end.cancel()


async def respond_stream(send: Send, stream: StreamBuffer, pending: PendingReply) -> None:
    """Send the chunks as they arrive, until the stream ends, the client disconnects, or the deadline passes."""
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    events = SafeEvents(stream)
    writing = asyncio.ensure_future(_write(send, stream, events))
    end = asyncio.ensure_future(pending.wait())
    try:
        await asyncio.wait({writing, end}, return_when=asyncio.FIRST_COMPLETED)
        if end.done() and not isinstance(end.result(), Reply):
            writing.cancel()
            last = _cut(end.result(), events)
        else:
            await writing
            last = events.last(stream.failure)
    finally:
        writing.cancel()
        end.cancel()
    await send({"type": "http.response.body", "body": last})


async def _write(send: Send, stream: StreamBuffer, events: EventWriter) -> None:
    async for number, chunk in stream.after(-1):
        if event := events.event(number, chunk):
            await send({"type": "http.response.body", "body": event, "more_body": True})


def _cut(end: Reply | WaitEnd, events: EventWriter) -> bytes:
    """Return the event that explains the cut; nothing if the client has disconnected."""
    return b"" if end is WaitEnd.CLIENT_DISCONNECTED or isinstance(end, Reply) else events.last(stream_cut(end.value))
