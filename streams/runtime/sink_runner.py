"""Records on their way into a store: gathered to a batch that is worth an insert, kept until the store has them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from streams.logging import describe_error
from streams.pipeline.stage import SinkStage
from streams.runtime.lane_queue import Delivered

log = structlog.get_logger()

MAX_ROWS = 10_000
MAX_BYTES = 8 * 1024 * 1024
MAX_DELAY_S = 1.0
"""A batch is stored when it has this many rows, this many bytes, or is this old."""
RETRY_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Pauses before the same batch is offered again; then the last one, for as long as the store is away."""


class SinkRunner:
    """One batch that fills while the one before is stored. A full one makes the reader wait: Kafka holds the rest."""

    def __init__(self, stage: SinkStage, finish: Callable[[list[Delivered]], None]) -> None:
        self._stage = stage
        self._finish = finish
        self._filling: list[Delivered] = []
        self._bytes = 0
        self._since_s = 0.0
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._closing = False
        self._flusher: asyncio.Task[None] | None = None

    async def take(self, batch: list[Delivered]) -> None:
        """Take these in; returns when there is room for more."""
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        if not self._filling:
            self._since_s = asyncio.get_running_loop().time()
        self._filling.extend(batch)
        self._bytes += sum(len(record.value or b"") for record, _ in batch)
        self._filled.set()
        while self._full and not self._closing:
            self._taken.clear()
            await self._taken.wait()

    @property
    def _full(self) -> bool:
        return len(self._filling) >= MAX_ROWS or self._bytes >= MAX_BYTES

    async def _flush(self) -> None:
        """Store one batch after the other."""
        while not (self._closing and not self._filling):
            await self._filled.wait()
            while not (self._full or self._closing) and (left := self._left_s()) > 0:
                self._filled.clear()
                try:
                    await asyncio.wait_for(self._filled.wait(), left)
                except TimeoutError:
                    break
            self._filled.clear()
            batch, self._filling, self._bytes = self._filling, [], 0
            self._taken.set()
            if batch:
                await self._write(batch)

    def _left_s(self) -> float:
        """Until the batch is old enough: it ages while the one before is stored."""
        return self._since_s + MAX_DELAY_S - asyncio.get_running_loop().time()

    async def _write(self, batch: list[Delivered]) -> None:
        """Offer the same batch until the store has it, unless every partition in it has gone to another worker."""
        attempt = 0
        while not all(delivery.is_revoked for _, delivery in batch):
            try:
                await self._stage.write_batch([record for record, _ in batch])
            except Exception as error:  # noqa: BLE001 - nothing that a store does may lose a record
                pause = RETRY_BACKOFF_S[min(attempt, len(RETRY_BACKOFF_S) - 1)]
                log.warning(
                    "store failed", stage=self._stage.name, rows=len(batch), again_s=pause, **describe_error(error)
                )
                attempt += 1
                await asyncio.sleep(pause)
            else:
                break
        self._finish(batch)

    def revoke(self, places: set[tuple[str, int]]) -> None:
        """Do nothing: a row that is stored twice counts once."""

    async def drain(self) -> None:
        """Store what is here."""
        self._closing = True
        self._filled.set()
        self._taken.set()
        if self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def close(self) -> None:
        """Give up what is not stored; it is delivered again to the next worker."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait([self._flusher])
        await self._stage.close()
