"""Replay buffer of streamed answers, so that a client can resume a stream after a lost connection.

The original client and every client that resumes read the same ``StreamBuffer``, each from its own position. A slow
client blocks neither the reply topic nor other clients, and a stream continues without any client.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator

import orjson
import structlog

from connectors.providers.wire.chunk_assembly import split_into_chunks
from schemas.events.parts import Request
from streams.ingress.replies.pending import WaitEnd
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.translators.translator import ChunkEvents, EventWriter, stream_cut
from streams.pipeline.fair_store import FairStore

KEPT_S = 600.0
KEPT_BYTES = 64 * 1024 * 1024
"""Age and total size of the streams that are kept for resumption."""
STREAM_BYTES = 2048
CHUNK_BYTES = 64
"""Sizes of a stream and of a chunk besides their bytes. Measured: 1,465 and 47 bytes."""
_RENEW_S = 60.0
"""Interval at which a running stream becomes the newest one again."""
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
        self.size = STREAM_BYTES
        self.kept_since = float("-inf")
        """Time at which ``StreamBuffers`` counted it as new."""
        self._chunks: list[bytes] = []
        self._attempt = 0
        self._end: Reply | None = None
        self._is_interrupted = False
        self._is_expired = False
        self._more = asyncio.Event()

    def add(self, chunk: ReplyChunk) -> None:
        """Add a chunk. A chunk of a second attempt can't continue the first one: the stream ends with an error."""
        self._attempt = self._attempt or chunk.attempt
        if chunk.attempt != self._attempt:
            self._is_interrupted = True
        elif chunk.sequence == len(self._chunks):  # a chunk that a crash wrote twice has a lower number
            self._chunks.append(chunk.body)
            self.size += CHUNK_BYTES + len(chunk.body)
        self._notify()

    def end(self, reply: Reply) -> None:
        """Add the reply, which ends the stream. An answer without any chunk is split into chunks here."""
        self._end = reply
        if reply.streamed and not self._chunks and reply.status == 200:  # noqa: PLR2004 - HTTP's OK
            self._chunks = _split(reply)
        self._notify()

    def expire(self) -> None:
        """End the stream with an error, because no reply arrived in time."""
        self._is_expired = True
        self._notify()

    def _notify(self) -> None:
        self._more.set()
        self._more = asyncio.Event()

    @property
    def ended(self) -> bool:
        """True if no more chunks can follow."""
        return self._end is not None or self._is_interrupted or self._is_expired

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
        if self._is_expired and self._end is None:
            return stream_cut(WaitEnd.TIMED_OUT.value)
        return self._end.body if self._end is not None and self._end.outcome != "answered" else None


def _split(reply: Reply) -> list[bytes]:
    """Return an answer in chunks; none if it can't be split, and then the caller gets the whole answer."""
    try:
        return [orjson.dumps(chunk) for chunk in split_into_chunks(orjson.loads(reply.body))]
    except Exception as error:  # noqa: BLE001 - the caller must get the answer, which is paid for
        _log.error("reply.unsplittable", request_id=reply.request_id, error=type(error).__name__)
        return []


class StreamBuffers:
    """Streams of this instance, by HTTP call, and for a limited time by request id.

    Beyond the limit of size, the tenant that holds most loses its oldest stream.
    """

    def __init__(self) -> None:
        self._by_call: dict[str, StreamBuffer] = {}
        self._by_id = FairStore[StreamBuffer](KEPT_BYTES, KEPT_S)

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
        expiry = asyncio.get_running_loop().call_later(seconds, self._expire, correlation)
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
            stream.add(reply)
            self._keep(stream)
        else:
            stream.end(reply)

    def find(self, request_id: str, tenant: str) -> StreamBuffer | None:
        """Return the stream of a request of this tenant."""
        return self._by_id.get(request_id, tenant)

    def _keep(self, stream: StreamBuffer) -> None:
        """Keep a stream for resumption, by its present size."""
        now = time.monotonic()
        if stream.kept_since < now - _RENEW_S or self._by_id.peek(stream.request_id) is not stream:
            stream.kept_since = now
            self._by_id.put(stream.request_id, stream.tenant, stream, stream.size)
        else:
            self._by_id.reweigh(stream.request_id, stream.size)

    def _expire(self, correlation: str) -> None:
        """End a stream whose reply did not arrive by the deadline, so that no client waits for more."""
        stream = self._by_call.pop(correlation, None)
        if stream is not None:
            stream.expire()
