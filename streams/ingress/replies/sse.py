"""Server-sent events: writes a stream in the format of the client's API."""

from __future__ import annotations

import asyncio

from starlette.types import Send

from streams.ingress.replies.pending import PendingReply, WaitEnd
from streams.ingress.replies.reader import Reply
from streams.ingress.replies.stream_buffer import StreamBuffer
from streams.ingress.translators.translator import EventWriter, stream_cut

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # otherwise nginx buffers the chunks
)


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
    events = stream.writer()
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
