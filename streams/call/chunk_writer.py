"""Writer of the chunks of a streamed answer."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import ClassVar

import orjson

from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from schemas.events.parts import Request
from schemas.json_types import JsonObject
from schemas.kafka import headers
from schemas.kafka.records import ProducerRecord
from streams.pipeline.stage import Emit

COALESCE_S = 0.03
"""Chunks are collected until the next multiple of this. The first visible chunk and those before it are written at
once; a reader does not notice the delay of the others. All streams of a worker thus write at the same moments, in
shared batches: a chunk by itself costs the broker 0.3 ms."""
MAX_FLUSH_SLOTS = 4
STREAMS_PER_FLUSH_SLOT = 50
"""Up to this number of concurrent streams, each writes at every flush. More streams are spread over up to
``MAX_FLUSH_SLOTS`` flushes: the cost then grows more slowly than their number, and no flush has to serve all of them.
Each still writes eight times a second, faster than a person reads."""

Chunk = JsonObject


class ChunkWriter:
    """Writes one attempt's chunks in order, each a valid OpenAI chunk with a sequence number; merges small ones.

    The provider never waits: chunks that Kafka has not acknowledged are collected here, bounded by the size limit of
    the answer.

    Args:
        request: the request to answer.
        attempt: number of the attempt.
        emit: writes a record.
        dead_letter_topic: for chunks that can't be written.
        include_usage: whether to write the chunk that only has the usage.

    """

    open: ClassVar[int] = 0
    """Number of streams that this process writes now."""
    _stream_numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(
        self, request: Request, attempt: int, emit: Emit, dead_letter_topic: str, *, include_usage: bool
    ) -> None:
        self._request = request
        self._attempt = attempt
        self._emit = emit
        self._dead_letter_topic = dead_letter_topic
        self._include_usage = include_usage
        self._stream_number = next(self._stream_numbers)
        self._pending: list[Chunk] = []
        self._has_pending = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        self.forwarded = 0
        """Chunks that the caller may have seen; after the first one, a retry can no longer hide a failure."""

    def write(self, chunk: Chunk) -> None:
        """Queue a chunk, or merge it with the one queued last."""
        if not chunk.get("choices") and not self._include_usage:
            return
        self.forwarded += 1
        if not (self._pending and merge_text(self._pending[-1], chunk)):
            self._pending.append(chunk)
        self._has_pending.set()
        if self._task is None:
            self._task = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Wait until Kafka has acknowledged every chunk."""
        self._closed = True
        self._has_pending.set()
        if self._task is not None:
            await self._task

    async def _write(self) -> None:
        ChunkWriter.open += 1
        try:
            await self._write_all()
        finally:
            ChunkWriter.open -= 1

    async def _write_all(self) -> None:
        sequence, has_started = 0, False
        while self._pending or not self._closed:
            if not self._pending:
                self._has_pending.clear()
                await self._has_pending.wait()
                continue
            if has_started and not self._closed:
                await asyncio.sleep(seconds_until_flush(self._stream_number, ChunkWriter.open, time.monotonic()))
            for _ in range(len(self._pending)):  # all of them: the pieces of a tool call can't be merged
                chunk = self._pending.pop(0)
                has_started = has_started or has_visible_delta(chunk)
                await self._emit(self._chunk_record(chunk, sequence))
                sequence += 1

    def _chunk_record(self, chunk: Chunk, sequence: int) -> ProducerRecord:
        request, reply_to = self._request, self._request.reply_to
        text_headers = {
            headers.REQUEST_ID: request.request_id,
            headers.SEQUENCE: str(sequence),
            headers.ATTEMPT: str(self._attempt),
            "content-type": "application/json",
        }
        correlation = [(header.name, header.value) for header in reply_to.correlation] if reply_to else []
        same_topic = reply_to is not None and reply_to.topic == request.stream_topic
        return ProducerRecord(
            request.stream_topic,
            (reply_to.key if reply_to else None) or request.request_id.encode(),
            orjson.dumps(chunk),
            (*correlation, *((name, value.encode()) for name, value in text_headers.items())),
            reply_to.partition if reply_to and same_topic else None,
            self._dead_letter_topic,
            write_after_revocation=True,
        )


def seconds_until_flush(number: int, streams: int, now_s: float) -> float:
    """Return how long a stream waits for its next flush while this many streams are open."""
    slots = min(-(-streams // STREAMS_PER_FLUSH_SLOT), MAX_FLUSH_SLOTS) or 1
    interval_s = slots * COALESCE_S
    return interval_s - (now_s - number % slots * COALESCE_S) % interval_s


async def forward_stream(provider: Provider, call: ProviderCall, writer: ChunkWriter) -> ProviderAnswer:
    """Call a provider, write the chunks of its stream, and return the whole answer.

    Raises:
        ProviderError: the call failed, possibly in the middle of the stream.

    """
    async for item in provider.stream(call):
        if isinstance(item, ProviderAnswer):
            return item
        writer.write(item)
    raise ProviderError("server", "the stream ended without an answer", http_status=200)


def has_visible_delta(chunk: Chunk) -> bool:
    """Return whether a reader sees something of the chunk: many providers start with one that only has a role."""
    deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or []]
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def merge_text(first: Chunk, second: Chunk) -> bool:
    """Append the second chunk to the first if both are plain text of the same choice; return whether they are."""
    target, source = _text_of(first), _text_of(second)
    if target is None or source is None or target["index"] != source["index"]:
        return False
    for name, text in source["delta"].items():
        target["delta"][name] = target["delta"].get(name, "") + text
    return True


def _text_of(chunk: Chunk) -> Chunk | None:
    """Return the only choice of a chunk, if it has nothing but text."""
    choices: list[Chunk] = chunk.get("choices") or []
    if len(choices) != 1 or chunk.get("usage"):
        return None
    choice = choices[0]
    delta = choice.get("delta") or {}
    is_text = bool(delta) and all(
        name in {"content", "reasoning_content"} and isinstance(text, str) for name, text in delta.items()
    )
    extras = choice.get("finish_reason") or choice.get("logprobs") or choice.get("content_filter_results")
    return choice if is_text and not extras else None
