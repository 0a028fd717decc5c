"""The chunks of an answer, on their way to whoever waits for it while it is still being written."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import orjson

from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from schemas.events.parts import Request
from schemas.kafka import headers
from schemas.kafka.records import ProducerRecord
from streams.pipeline.stage import Emit

COALESCE_S = 0.03
"""Chunks gather until the next multiple of this. The first word never waits, nor what comes before it; of the others a
reader sees no difference. The streams of a worker so write in the same moments, in shared batches: a chunk by itself
costs the broker 0.3 ms."""
MAX_FLUSH_SLOTS = 4
STREAMS_PER_FLUSH_SLOT = 50
"""Streams at once up to which each writes at every such moment. More of them take turns, up to so many: what they cost
grows less than their number, no moment is everybody's, and eight times a second is still faster than anybody reads."""

Chunk = dict[str, Any]


class ChunkWriter:
    """Writes one attempt's chunks in order, each a valid OpenAI chunk with its number; small ones are joined.

    The provider is never made to wait: what the log has not taken yet gathers here, bounded by the answer's own limit.
    """

    open: ClassVar[int] = 0
    """Streams that this process writes now."""
    _numbers: ClassVar[Iterator[int]] = itertools.count()

    def __init__(self, request: Request, attempt: int, emit: Emit, else_dead_letter: str, *, usage: bool) -> None:
        self._request = request
        self._attempt = attempt
        self._emit = emit
        self._dead_letter_topic = else_dead_letter
        self._usage = usage
        self._number = next(self._numbers)
        self._pending: list[Chunk] = []
        self._more = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None
        self._closed = False
        self.forwarded = 0
        """Chunks that the caller may have seen: from then on a failure can't be hidden by a retry."""

    def write(self, chunk: Chunk) -> None:
        """Take a chunk. The one that only brings the usage goes on if the caller asked for that."""
        if not chunk.get("choices") and not self._usage:
            return
        self.forwarded += 1
        if not (self._pending and merge_text(self._pending[-1], chunk)):
            self._pending.append(chunk)
        self._more.set()
        if self._writing is None:
            self._writing = asyncio.create_task(self._write())

    async def close(self) -> None:
        """Return when every chunk is on the log."""
        self._closed = True
        self._more.set()
        if self._writing is not None:
            await self._writing

    async def _write(self) -> None:
        ChunkWriter.open += 1
        try:
            await self._write_all()
        finally:
            ChunkWriter.open -= 1

    async def _write_all(self) -> None:
        sequence, begun = 0, False
        while self._pending or not self._closed:
            if not self._pending:
                self._more.clear()
                await self._more.wait()
                continue
            if begun and not self._closed:
                await asyncio.sleep(seconds_until_flush(self._number, ChunkWriter.open, time.monotonic()))
            for _ in range(len(self._pending)):  # pieces of a tool's call are not joined: all that gathered goes
                chunk = self._pending.pop(0)
                begun = begun or has_visible_delta(chunk)
                await self._emit(self._chunk_record(chunk, sequence))
                sequence += 1

    def _chunk_record(self, chunk: Chunk, sequence: int) -> ProducerRecord:
        request, reply_to = self._request, self._request.reply_to
        said = {
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
            (*correlation, *((name, value.encode()) for name, value in said.items())),
            reply_to.partition if reply_to and same_topic else None,
            self._dead_letter_topic,
            write_after_revocation=True,
        )


def seconds_until_flush(number: int, streams: int, now_s: float) -> float:
    """How long the stream of this number waits for its next moment, while there are so many."""
    turns = min(-(-streams // STREAMS_PER_FLUSH_SLOT), MAX_FLUSH_SLOTS) or 1
    interval_s = turns * COALESCE_S
    return interval_s - (now_s - number % turns * COALESCE_S) % interval_s


async def forward_stream(provider: Provider, call: ProviderCall, writer: ChunkWriter) -> ProviderAnswer:
    """Call a provider for a stream, write its chunks, and return the whole answer.

    Raises:
        ProviderError: it failed, maybe in the middle of the stream.

    """
    async for item in provider.stream(call):
        if isinstance(item, ProviderAnswer):
            return item
        writer.write(item)
    raise ProviderError("server", "the stream ended without an answer", http_status=200)


def has_visible_delta(chunk: Chunk) -> bool:
    """Whether a reader sees something of it: many providers begin with a chunk that only has a role."""
    deltas = [choice.get("delta") or {} for choice in chunk.get("choices") or []]
    return any(value for delta in deltas for name, value in delta.items() if name != "role")


def merge_text(first: Chunk, second: Chunk) -> bool:
    """Add the second chunk to the first if both are nothing but text of the same choice; whether that was so."""
    ours, theirs = _text_of(first), _text_of(second)
    if ours is None or theirs is None or ours["index"] != theirs["index"]:
        return False
    for name, text in theirs["delta"].items():
        ours["delta"][name] = ours["delta"].get(name, "") + text
    return True


def _text_of(chunk: Chunk) -> Chunk | None:
    """The one choice of a chunk, if there is nothing in it but text."""
    choices: list[Chunk] = chunk.get("choices") or []
    if len(choices) != 1 or chunk.get("usage"):
        return None
    choice = choices[0]
    delta = choice.get("delta") or {}
    plain = bool(delta) and all(
        name in {"content", "reasoning_content"} and isinstance(text, str) for name, text in delta.items()
    )
    extras = choice.get("finish_reason") or choice.get("logprobs") or choice.get("content_filter_results")
    return choice if plain and not extras else None
