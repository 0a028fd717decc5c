"""Replay buffer of streamed answers, so that a client can resume a stream after a lost connection.

The original client and every client that resumes read the same ``StreamBuffer``, each from its own position. A slow
client blocks neither the reply topic nor other clients, and a stream continues without any client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator

import orjson
import structlog

from connectors.providers.wire.chunk_assembly import split_into_chunks
from schemas.events.parts import Request
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.translators.translator import ChunkEvents, EventWriter

KEPT_S = 600.0
KEPT_BYTES = 64 * 1024 * 1024
"""Age and total size of the streams that are kept for resumption."""
INTERRUPTED = orjson.dumps(
    {
        "error": {
            "message": "The stream was interrupted by a crash and can't be continued. Request the whole answer.",
            "type": "server_error",
            "param": None,
            "code": "stream_interrupted",
        }
    }
)

_log = structlog.get_logger()


class StreamBuffer:
    """One streamed answer: its chunks by number, and its reply."""

    def __init__(self, request_id: str, tenant: str, writer: Callable[[], EventWriter] = ChunkEvents) -> None:
        self.request_id = request_id
        self.writer = writer
        """Creates a writer of events in the format of the client's API."""
        self.tenant = tenant
        self.touched = time.monotonic()
        self.size = 0
        self._chunks: list[bytes] = []
        self._attempt = 0
        self._end: Reply | None = None
        self._is_interrupted = False
        self._more = asyncio.Event()

    def add(self, chunk: ReplyChunk) -> None:
        """Add a chunk. A chunk of a second attempt can't continue the first one: the stream ends with an error."""
        self._attempt = self._attempt or chunk.attempt
        if chunk.attempt != self._attempt:
            self._is_interrupted = True
        elif chunk.sequence == len(self._chunks):  # a chunk that a crash wrote twice has a lower number
            self._chunks.append(chunk.body)
            self.size += len(chunk.body)
        self._notify()

    def end(self, reply: Reply) -> None:
        """Add the reply, which ends the stream. An answer without any chunk is split into chunks here."""
        self._end = reply
        if reply.streamed and not self._chunks and reply.status == 200:  # noqa: PLR2004 - HTTP's OK
            self._chunks = _split(reply)
        self._notify()

    def _notify(self) -> None:
        self.touched = time.monotonic()
        self._more.set()
        self._more = asyncio.Event()

    @property
    def ended(self) -> bool:
        """True if no more chunks can follow."""
        return self._end is not None or self._is_interrupted

    async def after(self, number: int) -> AsyncIterator[tuple[int, bytes]]:
        """Yield the chunks after this number as they arrive, until the stream ends."""
        position = number + 1
        while True:
            while position < len(self._chunks):
                yield position, self._chunks[position]
                position += 1
            if self.ended:
                return
            await self._more.wait()

    async def wait_for_first_chunk(self) -> bool:
        """Wait for the first chunk or the end, and return whether there is a chunk."""
        while not self._chunks and not self.ended:
            await self._more.wait()
        return bool(self._chunks)

    @property
    def failure(self) -> bytes | None:
        """The error object that ends the stream; None if it ends well."""
        if self._is_interrupted:
            return INTERRUPTED
        return self._end.body if self._end is not None and self._end.outcome != "answered" else None


def _split(reply: Reply) -> list[bytes]:
    """Return an answer in chunks; none if it can't be split, and then the caller gets the whole answer."""
    try:
        return [orjson.dumps(chunk) for chunk in split_into_chunks(orjson.loads(reply.body))]
    except Exception as error:  # noqa: BLE001 - the caller must get the answer, which is paid for
        _log.error("reply.unsplittable", request_id=reply.request_id, error=type(error).__name__)
        return []


class StreamBuffers:
    """Streams of this instance, by HTTP call, and for a limited time by request id."""

    def __init__(self) -> None:
        self._by_call: dict[str, StreamBuffer] = {}
        self._by_id: OrderedDict[str, StreamBuffer] = OrderedDict()
        self._bytes = 0
        """Size of all streams that are kept by request id."""

    @contextlib.contextmanager
    def open(
        self,
        correlation: str,
        request: Request,
        seconds: float,
        writer: Callable[[], EventWriter] = ChunkEvents,
    ) -> Iterator[StreamBuffer]:
        """Buffer the chunks of a call for at most this many seconds, even if its client disconnects."""
        stream = self._by_call[correlation] = StreamBuffer(request.request_id, request.tenant, writer)
        expiry = asyncio.get_running_loop().call_later(seconds, self._by_call.pop, correlation, None)
        try:
            yield stream
        finally:
            if stream.ended:
                expiry.cancel()
                self._by_call.pop(correlation, None)

    def add(self, reply: Reply | ReplyChunk) -> None:
        """Add a chunk or a reply to its stream, if there is one."""
        stream = self._by_call.get(reply.correlation)
        if stream is None:
            return
        if isinstance(reply, ReplyChunk):
            self._forget(stream.request_id)
            stream.add(reply)
            self._keep(stream)
        else:
            stream.end(reply)

    def find(self, request_id: str, tenant: str) -> StreamBuffer | None:
        """Return the stream of a request of this tenant."""
        stream = self._by_id.get(request_id)
        return stream if stream is not None and stream.tenant == tenant else None

    def _keep(self, stream: StreamBuffer) -> None:
        """Keep a stream as the newest one, and drop the oldest beyond the limits of age and size."""
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
