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
from schemas.errors import PlainError
from schemas.events.catalog import AttemptFinished
from schemas.events.parts import Request
from schemas.events.request_id import is_named
from schemas.kafka.records import Record
from schemas.kafka.topics import DAY
from streams.call.attempts import End
from streams.call.idempotency.answer_index import Bookmarks
from streams.call.idempotency.fingerprint import asked_in

log = structlog.get_logger()

WAIT_S = 60.0
"""The longest that a named request waits for the look back; and never more than half of the time that it has."""
_LOOK_S = 0.1
_AGAIN_S = 0.5
_BREATH_S = 0.01
"""Between two batches of the past: the present goes first."""


class Past(Protocol):
    """What is needed of ``connectors.kafka.clients.history.Lookback``."""

    async def read(self, partition: int, offset: int) -> Record | None:
        """One record, if it is still there."""
        ...

    def back(self, partition: int, since_ms: int, until_ms: int) -> AsyncGenerator[list[Record]]:
        """The records of a span of time, the newest first by the hour."""
        ...

    async def stop(self) -> None:
        """Let go of it."""
        ...


class Recall:
    """What one worker remembers for a day."""

    def __init__(
        self,
        look: Callable[[], Past],
        bookmarks: Bookmarks | None = None,
        clock: Callable[[], float] = time.time,
        wait_s: float = WAIT_S,
    ) -> None:
        self._look = look
        self._answers = look()
        self._one_look = asyncio.Lock()
        self._bookmarks = bookmarks if bookmarks is not None else Bookmarks(clock=clock)
        self._clock = clock
        self._wait_s = wait_s
        self._looks: dict[int, asyncio.Task[None]] = {}

    def observe(self, record: Record) -> bool:
        """Take note of a record if it holds an answer that may be asked for again. False: there is no room for it."""
        request_id = (record.key or b"").decode("latin-1")
        if not is_named(request_id) or not asked_in(record):
            return True
        return self._bookmarks.put(request_id, record.partition, record.offset, record.timestamp_ms)

    def learn(self, partition: int, until_ms: int) -> None:
        """Begin to look back through a partition, from this time (milliseconds since the epoch) to a day ago."""
        self._end_look(partition)
        self._looks[partition] = asyncio.create_task(self._look_back(partition, until_ms))

    def leave(self, partition: int) -> None:
        """Forget a partition that another worker has now."""
        self._end_look(partition)
        self._bookmarks.leave(partition)

    async def end(self, request: Request, partition: int) -> End | None:
        """Find the answer that a request had within a day; None if it had none, or if that can't be known in time."""
        if not is_named(request.request_id):
            return None
        offset = await self._offset(request, partition)
        while offset is not None and self._clock() * 1000 < request.deadline_at:
            try:
                record = await self._answers.read(partition, offset)
            except PlainError as error:
                log.warning("answer is out of reach", partition=partition, offset=offset, reason=str(error))
                await asyncio.sleep(_AGAIN_S)
            else:
                return self._answer(request, record)
        return None

    async def stop(self) -> None:
        """Look no further, and disconnect."""
        looks = list(self._looks.values())
        for partition in list(self._looks):
            self._end_look(partition)
        await asyncio.gather(*looks, return_exceptions=True)
        await self._answers.stop()

    async def _offset(self, request: Request, partition: int) -> int | None:
        """Where the answer stands; while the look back is under way, it may still turn up."""
        left_s = request.deadline_at / 1000 - self._clock()
        until = time.monotonic() + min(self._wait_s, left_s / 2)
        while (offset := self._bookmarks.find(request.request_id)) is None:
            look = self._looks.get(partition)
            if look is None or look.done() or time.monotonic() >= until:
                return None
            await asyncio.wait({look}, timeout=_LOOK_S)
        return offset

    def _answer(self, request: Request, record: Record | None) -> End | None:
        if record is None or record.timestamp_ms < self._clock() * 1000 - DAY:
            return None
        try:
            event = decode(record.value or b"")
        except UndecodableError:
            return None
        if not isinstance(event, AttemptFinished) or event.error_type or event.request.request_id != request.request_id:
            return None
        return End(event.request, "answered", None, (event,), event.finished_at, asked_in(record))

    async def _look_back(self, partition: int, until_ms: int) -> None:
        """Note the answers of a day, one partition after the other, however often Kafka goes away meanwhile."""
        async with self._one_look:
            while True:
                past = self._look()
                try:
                    return await self._note(past, partition, until_ms)
                except PlainError as error:
                    log.warning("looking back again", partition=partition, reason=str(error))
                finally:
                    await past.stop()
                await asyncio.sleep(_AGAIN_S)

    async def _note(self, past: Past, partition: int, until_ms: int) -> None:
        """Read until that is all, or there is no more room for what is older."""
        since_ms = int(self._clock() * 1000) - DAY
        async with aclosing(past.back(partition, since_ms, until_ms)) as batches:
            async for records in batches:
                noted = [self.observe(record) for record in records]
                if not all(noted):
                    return
                await asyncio.sleep(_BREATH_S)

    def _end_look(self, partition: int) -> None:
        look = self._looks.pop(partition, None)
        if look is not None:
            look.cancel()
