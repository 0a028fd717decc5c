"""A stream as server-sent events, in the shape of the API that was asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Send

from schemas.events import Failure
from streams.fronts.front import EventWriter, stream_cut
from streams.ingress.keys import Keyring
from streams.ingress.polling import canonical
from streams.ingress.refusals import THEIRS, RefusedError, bad_request
from streams.ingress.replies import Reply
from streams.ingress.streaming import Stream, Streams
from streams.ingress.waiters import NoReply, Waiter

HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would gather the chunks
)

_NUMBER = re.compile(r"-?[0-9]{1,18}")


async def begun(stream: Stream, waiter: Waiter) -> bool:
    """Wait for the first chunk, or for an end without one; whether there is a chunk."""
    first, end = asyncio.ensure_future(stream.begun()), asyncio.ensure_future(waiter.ended())
    try:
        await asyncio.wait({first, end}, return_when=asyncio.FIRST_COMPLETED)
        return first.done() and first.result()
    finally:
        first.cancel()
        end.cancel()


async def respond_stream(send: Send, stream: Stream, waiter: Waiter) -> None:
    """Write the chunks as they come, until the end, or until the caller is gone or has waited too long."""
    await send({"type": "http.response.start", "status": 200, "headers": list(HEADERS)})
    events = stream.writer()
    writing = asyncio.ensure_future(_write(send, stream, events))
    end = asyncio.ensure_future(waiter.ended())
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


async def _write(send: Send, stream: Stream, events: EventWriter) -> None:
    async for number, chunk in stream.after(-1):
        if written := events.event(number, chunk):
            await send({"type": "http.response.body", "body": written, "more_body": True})


def _cut(end: Reply | NoReply, events: EventWriter) -> bytes:
    """Say to who still listens why nothing more comes."""
    return b"" if end is NoReply.HUNG_UP or isinstance(end, Reply) else events.last(stream_cut(end.value))


class ResumeEndpoint:
    """``GET /v1/requests/{id}/stream``: the chunks behind a number, for who lost the line. Kept for ten minutes."""

    def __init__(self, keyring: Keyring, streams: Streams) -> None:
        self._keyring = keyring
        self._streams = streams

    async def get(self, http: Request) -> Response:
        """Go on after ``Last-Event-ID`` or ``?after=``; from the beginning without either.

        Raises:
            RefusedError: 404 this instance has no such stream of the caller's tenant, 400 the number is none.

        """
        caller = self._keyring.authenticate(dict(http.scope["headers"]))
        request_id = canonical(http.path_params["request_id"])
        after = http.headers.get("last-event-id") or http.query_params.get("after") or "-1"
        if not _NUMBER.fullmatch(after):
            raise bad_request("invalid_header", "Last-Event-ID must be the number of a chunk.")
        stream = self._streams.find(request_id, caller.tenant)
        if stream is None:
            message = f"There is no stream of request {request_id} here; GET /v1/requests/{request_id} has its end."
            raise RefusedError(Failure(status=404, type=THEIRS, code="stream_not_found", message=message, param="id"))

        headers = {name.decode(): value.decode() for name, value in HEADERS}
        return StreamingResponse(_from(stream, int(after)), headers=headers)


async def _from(stream: Stream, after: int) -> AsyncIterator[bytes]:
    """Write what comes behind a chunk; a writer needs all from the first on, since some count what they have said."""
    events = stream.writer()
    async for number, chunk in stream.after(-1):
        written = events.event(number, chunk)
        if number > after and written:
            yield written
    yield events.last(stream.failure)
