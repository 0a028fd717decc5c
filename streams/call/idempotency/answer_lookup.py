"""The answers of a day to requests that their callers named: found again on ``llm.attempts.v1``, where they stand.

In memory is only where that is. It is learned from what is followed anyway, and for the time before that, after each
assignment, by looking back through a day beside the work.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Protocol

import structlog

from schemas.avro.codec import UndecodableError, decode
from schemas.errors import UserError
from schemas.events.catalog import AttemptFinished
from schemas.events.parts import Request
from schemas.events.request_id import is_named
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import DAY
from streams.call.attempts import RequestEnd
from streams.call.idempotency.answer_index import AnswerIndex
from streams.call.idempotency.fingerprint import fingerprint_of

log = structlog.get_logger()

WAIT_S = 60.0
"""The longest that a named request waits for the look back; and never more than half of the time that it has."""
_SCAN_TIMEOUT_S = 0.1
_RETRY_BACKOFF_S = 0.5
_SCAN_PAUSE_S = 0.01
"""Between two batches of the past: the present goes first."""


class TopicHistory(Protocol):
    """What is needed of ``connectors.kafka.clients.history.Lookback``."""

    async def read(self, partition: int, offset: int) -> ConsumerRecord | None:
        """One record, if it is still there."""
        ...

    def read_backwards(self, partition: int, since_ms: int, until_ms: int) -> AsyncGenerator[list[ConsumerRecord]]:
        """The records of a span of time, the newest first by the hour."""
        ...

    async def stop(self) -> None:
        """Let go of it."""
        ...


class AnswerLookup:
    """What one worker remembers for a day."""

    def __init__(
        self,
        look: Callable[[], TopicHistory],
        bookmarks: AnswerIndex | None = None,
        clock: Callable[[], float] = time.time,
        wait_s: float = WAIT_S,
    ) -> None:
        self._open_history = look
        self._answers = look()
        self._scan_lock = asyncio.Lock()
        self._index = bookmarks if bookmarks is not None else AnswerIndex(clock=clock)
        self._clock = clock
        self._wait_s = wait_s
        self._scans: dict[int, asyncio.Task[None]] = {}

    def observe(self, record: ConsumerRecord) -> bool:
        """Take note of a record if it holds an answer that may be asked for again. False: there is no room for it."""
        request_id = (record.key or b"").decode("latin-1")
        if not is_named(request_id) or not fingerprint_of(record):
            return True
        return self._index.add(request_id, record.partition, record.offset, record.timestamp_ms)

    def index_partition(self, partition: int, until_ms: int) -> None:
        """Begin to look back through a partition, from this time (milliseconds since the epoch) to a day ago."""
        self._stop_scan(partition)
        self._scans[partition] = asyncio.create_task(self._scan(partition, until_ms))

    def forget(self, partition: int) -> None:
        """Forget a partition that another worker has now."""
        self._stop_scan(partition)
        self._index.drop_partition(partition)

    async def find(self, request: Request, partition: int) -> RequestEnd | None:
        """Find the answer that a request had within a day; None if it had none, or if that can't be known in time."""
        if not is_named(request.request_id):
            return None
        offset = await self._offset(request, partition)
        while offset is not None and self._clock() * 1000 < request.deadline_at:
            try:
                record = await self._answers.read(partition, offset)
            except UserError as error:
                log.warning("answer is out of reach", partition=partition, offset=offset, reason=str(error))
                await asyncio.sleep(_RETRY_BACKOFF_S)
            else:
                return self._answer(request, record)
        return None

    async def stop(self) -> None:
        """Look no further, and disconnect."""
        looks = list(self._scans.values())
        for partition in list(self._scans):
            self._stop_scan(partition)
        await asyncio.gather(*looks, return_exceptions=True)
        await self._answers.stop()

    async def _offset(self, request: Request, partition: int) -> int | None:
        """Where the answer stands; while the look back is under way, it may still turn up."""
        left_s = request.deadline_at / 1000 - self._clock()
        until = time.monotonic() + min(self._wait_s, left_s / 2)
        while (offset := self._index.find(request.request_id)) is None:
            look = self._scans.get(partition)
            if look is None or look.done() or time.monotonic() >= until:
                return None
            await asyncio.wait({look}, timeout=_SCAN_TIMEOUT_S)
        return offset

    def _answer(self, request: Request, record: ConsumerRecord | None) -> RequestEnd | None:
        if record is None or record.timestamp_ms < self._clock() * 1000 - DAY:
            return None
        try:
            event = decode(record.value or b"")
        except UndecodableError:
            return None
        if not isinstance(event, AttemptFinished) or event.error_type or event.request.request_id != request.request_id:
            return None
        return RequestEnd(event.request, "answered", None, (event,), event.finished_at, fingerprint_of(record))

    async def _scan(self, partition: int, until_ms: int) -> None:
        """Note the answers of a day, one partition after the other, however often Kafka goes away meanwhile."""
        async with self._scan_lock:
            while True:
                past = self._open_history()
                try:
                    return await self._add_to_index(past, partition, until_ms)
                except UserError as error:
                    log.warning("looking back again", partition=partition, reason=str(error))
                finally:
                    await past.stop()
                await asyncio.sleep(_RETRY_BACKOFF_S)

    async def _add_to_index(self, past: TopicHistory, partition: int, until_ms: int) -> None:
        """Read until that is all, or there is no more room for what is older."""
        since_ms = int(self._clock() * 1000) - DAY
        async with aclosing(past.read_backwards(partition, since_ms, until_ms)) as batches:
            async for records in batches:
                noted = [self.observe(record) for record in records]
                if not all(noted):
                    return
                await asyncio.sleep(_SCAN_PAUSE_S)

    def _stop_scan(self, partition: int) -> None:
        look = self._scans.pop(partition, None)
        if look is not None:
            look.cancel()
