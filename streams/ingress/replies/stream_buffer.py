"""Streamed answers as they come off the log: kept for a while, so that a caller who lost its line can go on reading.

The caller of the stream and whoever comes back to it read the same ``StreamBuffer``, each from its own place.
Neither can hold up the log or the other, and a stream goes on without any reader.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator

import orjson

from connectors.providers.wire.chunk_assembly import split_into_chunks
from schemas.events.parts import Request
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.translators.translator import ChunkEvents, EventWriter

KEPT_S = 600.0
KEPT_BYTES = 64 * 1024 * 1024
"""How long, and how much of all streams, is kept for those who come back."""
INTERRUPTED = orjson.dumps(
    {
        "error": {
            "message": "The answer was begun again after a crash, and can't go on from here. Ask for it as a whole.",
            "type": "server_error",
            "param": None,
            "code": "stream_interrupted",
        }
    }
)


class StreamBuffer:
    """One streamed answer: its chunks by number, and its end."""

    def __init__(self, request_id: str, tenant: str, writer: Callable[[], EventWriter] = ChunkEvents) -> None:
        self.request_id = request_id
        self.writer = writer
        """Makes a writer of its events, in the shape of the API that was asked."""
        self.tenant = tenant
        self.touched = time.monotonic()
        self.size = 0
        self._chunks: list[bytes] = []
        self._attempt = 0
        self._end: Reply | None = None
        self._broken = False
        self._more = asyncio.Event()

    def add(self, piece: ReplyChunk) -> None:
        """Take a chunk. One of a second attempt can't follow the first one's: the stream ends with an error."""
        self._attempt = self._attempt or piece.attempt
        if piece.attempt != self._attempt:
            self._broken = True
        elif piece.sequence == len(self._chunks):  # one that a crash wrote twice has a number that was there
            self._chunks.append(piece.body)
            self.size += len(piece.body)
        self._notify()

    def end(self, reply: Reply) -> None:
        """Take the reply: nothing comes after it. An answer of which no chunk came is taken apart here."""
        self._end = reply
        if reply.streamed and not self._chunks and reply.status == 200:  # noqa: PLR2004 - HTTP's OK
            self._chunks = [orjson.dumps(chunk) for chunk in split_into_chunks(orjson.loads(reply.body))]
        self._notify()

    def _notify(self) -> None:
        self.touched = time.monotonic()
        self._more.set()
        self._more = asyncio.Event()

    @property
    def ended(self) -> bool:
        """Whether no chunk can come any more."""
        return self._end is not None or self._broken

    async def after(self, number: int) -> AsyncIterator[tuple[int, bytes]]:
        """The chunks behind this number, as they come; returns at the end of the stream."""
        place = number + 1
        while True:
            while place < len(self._chunks):
                yield place, self._chunks[place]
                place += 1
            if self.ended:
                return
            await self._more.wait()

    async def wait_for_first_chunk(self) -> bool:
        """Wait for the first chunk or the end; whether there is a chunk."""
        while not self._chunks and not self.ended:
            await self._more.wait()
        return bool(self._chunks)

    @property
    def failure(self) -> bytes | None:
        """The error object that a stream ends with, if it does not end well."""
        if self._broken:
            return INTERRUPTED
        return self._end.body if self._end is not None and self._end.outcome != "answered" else None


class StreamBuffers:
    """The streams of this instance, by the HTTP call that asked, and for a while by their request's id."""

    def __init__(self) -> None:
        self._by_call: dict[str, StreamBuffer] = {}
        self._by_id: OrderedDict[str, StreamBuffer] = OrderedDict()
        self._bytes = 0
        """Of all that are kept by id."""

    @contextlib.contextmanager
    def open(
        self,
        correlation: str,
        request: Request,
        seconds: float,
        writer: Callable[[], EventWriter] = ChunkEvents,
    ) -> Iterator[StreamBuffer]:
        """Take in the chunks of a call, for at most this long, also when its caller is gone before its end."""
        stream = self._by_call[correlation] = StreamBuffer(request.request_id, request.tenant, writer)
        expiry = asyncio.get_running_loop().call_later(seconds, self._by_call.pop, correlation, None)
        try:
            yield stream
        finally:
            if stream.ended:
                expiry.cancel()
                self._by_call.pop(correlation, None)

    def add(self, arrived: Reply | ReplyChunk) -> None:
        """Give a chunk or an end to its stream, if it has one."""
        stream = self._by_call.get(arrived.correlation)
        if stream is None:
            return
        if isinstance(arrived, ReplyChunk):
            self._forget(stream.request_id)
            stream.add(arrived)
            self._keep(stream)
        else:
            stream.end(arrived)

    def find(self, request_id: str, tenant: str) -> StreamBuffer | None:
        """The stream of a request, for its own tenant."""
        stream = self._by_id.get(request_id)
        return stream if stream is not None and stream.tenant == tenant else None

    def _keep(self, stream: StreamBuffer) -> None:
        """Remember as the newest; forget the oldest as far as it is too old or all of it is too much."""
        self._by_id[stream.request_id] = stream
        self._bytes += stream.size
        horizon = time.monotonic() - KEPT_S
        while len(self._by_id) > 1:
            oldest = next(iter(self._by_id.values()))
            if oldest.touched > horizon and self._bytes <= KEPT_BYTES:
                return
            self._forget(oldest.request_id)

    def _forget(self, request_id: str) -> None:
        stream = self._by_id.pop(request_id, None)
        if stream is not None:
            self._bytes -= stream.size
