"""A stream as server-sent events, in the shape of the API that was asked."""

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
    (b"x-accel-buffering", b"no"),  # nginx would gather the chunks
)


async def has_begun(stream: StreamBuffer, waiter: PendingReply) -> bool:
    """Wait for the first chunk, or for an end without one; whether there is a chunk."""
    first, end = asyncio.ensure_future(stream.wait_for_first_chunk()), asyncio.ensure_future(waiter.wait())
    try:
        await asyncio.wait({first, end}, return_when=asyncio.FIRST_COMPLETED)
        return first.done() and first.result()
    finally:
        first.cancel()
        end.cancel()


async def respond_stream(send: Send, stream: StreamBuffer, waiter: PendingReply) -> None:
    """Write the chunks as they come, until the end, or until the caller is gone or has waited too long."""
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    events = stream.writer()
    writing = asyncio.ensure_future(_write(send, stream, events))
    end = asyncio.ensure_future(waiter.wait())
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
        if written := events.event(number, chunk):
            await send({"type": "http.response.body", "body": written, "more_body": True})


def _cut(end: Reply | WaitEnd, events: EventWriter) -> bytes:
    """Say to who still listens why nothing more comes."""
    return b"" if end is WaitEnd.CLIENT_DISCONNECTED or isinstance(end, Reply) else events.last(stream_cut(end.value))
