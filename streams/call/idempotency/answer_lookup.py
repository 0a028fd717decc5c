"""Lookup of recorded answers: finds the answer to a named request on ``llm.attempts.v1`` for a day.

Only an index of the offsets is kept in memory. It is filled from the records that the worker follows anyway and, after
each assignment, by a scan backwards over the past day, which runs beside the calls.
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

MAX_SCAN_WAIT_S = 60.0
"""Maximum time that a named request waits for the scan; it never waits longer than half of its remaining time."""
_POLL_INTERVAL_S = 0.1
_RETRY_BACKOFF_S = 0.5
_SCAN_PAUSE_S = 0.01
"""Pause between two batches of the scan, so that calls come first."""


class TopicHistory(Protocol):
    """The part of ``connectors.kafka.clients.history.TopicHistoryReader`` that the lookup uses."""

    async def read(self, partition: int, offset: int) -> ConsumerRecord | None:
        """Return one record, or None if it has been deleted."""
        ...

    def read_backwards(self, partition: int, since_ms: int, until_ms: int) -> AsyncGenerator[list[ConsumerRecord]]:
        """Yield the records of a time span, the newest hour first."""
        ...

    async def stop(self) -> None:
        """Disconnect."""
        ...


class AnswerLookup:
    """Finds the answers of the past day in the partitions of one worker.

    Args:
        open_history: creates a reader of the topic of attempts.
        index: of the offsets.
        clock: seconds since the epoch.
        max_scan_wait_s: maximum time that a request waits for the scan.

    """

    def __init__(
        self,
        open_history: Callable[[], TopicHistory],
        index: AnswerIndex | None = None,
        clock: Callable[[], float] = time.time,
        max_scan_wait_s: float = MAX_SCAN_WAIT_S,
    ) -> None:
        self._open_history = open_history
        self._answers = open_history()
        self._scan_lock = asyncio.Lock()
        self._index = index if index is not None else AnswerIndex(clock=clock)
        self._clock = clock
        self._max_scan_wait_s = max_scan_wait_s
        self._scans: dict[int, asyncio.Task[None]] = {}

    def observe(self, record: ConsumerRecord) -> bool:
        """Index a record if it is an answer that may be requested again; return False if the index is full."""
        request_id = (record.key or b"").decode("latin-1")
        if not is_named(request_id) or not fingerprint_of(record):
            return True
        return self._index.add(request_id, record.partition, record.offset, record.timestamp_ms)

    def index_partition(self, partition: int, until_ms: int) -> None:
        """Start to scan a partition backwards from a time (milliseconds since the epoch) to a day ago."""
        self._stop_scan(partition)
        self._scans[partition] = asyncio.create_task(self._scan(partition, until_ms))

    def forget(self, partition: int) -> None:
        """Forget a partition that was revoked."""
        self._stop_scan(partition)
        self._index.drop_partition(partition)

    async def find(self, request: Request, partition: int) -> RequestEnd | None:
        """Return the answer that a request got within a day; None if there is none, or if it can't be read in time."""
        if not is_named(request.request_id):
            return None
        offset = await self._offset(request, partition)
        while offset is not None and self._clock() * 1000 < request.deadline_at:
            try:
                record = await self._answers.read(partition, offset)
            except UserError as error:
                log.warning("answer.unreachable", partition=partition, offset=offset, reason=str(error))
                await asyncio.sleep(_RETRY_BACKOFF_S)
            else:
                return self._answer(request, record)
        return None

    async def stop(self) -> None:
        """Stop all scans, and disconnect."""
        scans = list(self._scans.values())
        for partition in list(self._scans):
            self._stop_scan(partition)
        await asyncio.gather(*scans, return_exceptions=True)
        await self._answers.stop()

    async def _offset(self, request: Request, partition: int) -> int | None:
        """Return the offset of the answer. While the partition is being scanned, wait for it to be found."""
        left_s = request.deadline_at / 1000 - self._clock()
        until = time.monotonic() + min(self._max_scan_wait_s, left_s / 2)
        while (offset := self._index.find(request.request_id)) is None:
            scan = self._scans.get(partition)
            if scan is None or scan.done() or time.monotonic() >= until:
                return None
            await asyncio.wait({scan}, timeout=_POLL_INTERVAL_S)
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
        """Index the answers of a day, one partition after the other; retry for as long as Kafka is unavailable."""
        async with self._scan_lock:
            while True:
                history = self._open_history()
                try:
                    return await self._add_to_index(history, partition, until_ms)
                except UserError as error:
                    log.warning("answer_scan.retried", partition=partition, reason=str(error))
                finally:
                    await history.stop()
                await asyncio.sleep(_RETRY_BACKOFF_S)

    async def _add_to_index(self, history: TopicHistory, partition: int, until_ms: int) -> None:
        """Read until the end, or until the index is full of newer answers."""
        since_ms = int(self._clock() * 1000) - DAY
        async with aclosing(history.read_backwards(partition, since_ms, until_ms)) as batches:
            async for records in batches:
                added = [self.observe(record) for record in records]
                if not all(added):
                    return
                await asyncio.sleep(_SCAN_PAUSE_S)

    def _stop_scan(self, partition: int) -> None:
        scan = self._scans.pop(partition, None)
        if scan is not None:
            scan.cancel()
