"""Runs a SinkStage: collects records to batches, and writes each batch until the store has it."""

from __future__ import annotations

import asyncio

import structlog

from streams.logging import describe_error
from streams.pipeline.backoff import backoff
from streams.pipeline.stage import SinkStage
from streams.runtime.offset_tracker import Delivered, Finish

log = structlog.get_logger()

MAX_ROWS = 10_000
MAX_BYTES = 8 * 1024 * 1024
MAX_DELAY_S = 1.0
"""A batch is written when it has this many rows, this many bytes, or is this old."""
RETRY_BACKOFF_S = (0.5, 1.0, 2.0, 5.0, 10.0)
"""Delays before the same batch is written again; the last one repeats for as long as the store fails."""


class SinkRunner:
    """Fills one batch while the one before is written. A full batch blocks ``take``, so that Kafka holds the rest."""

    def __init__(self, stage: SinkStage, finish: Finish) -> None:
        self._stage = stage
        self._finish = finish
        self._batch: list[Delivered] = []
        self._bytes = 0
        self._batch_began_s = 0.0
        self._added = asyncio.Event()
        self._flushed = asyncio.Event()
        self._closing = False
        self._flusher: asyncio.Task[None] | None = None

    async def take(self, batch: list[Delivered]) -> None:
        """Add records; return when there is room for more."""
        if self._flusher is None:
            self._flusher = asyncio.create_task(self._flush())
        if not self._batch:
            self._batch_began_s = asyncio.get_running_loop().time()
        self._batch.extend(batch)
        self._bytes += sum(len(record.value or b"") for record, _ in batch)
        self._added.set()
        while self._is_full and not self._closing:
            self._flushed.clear()
            await self._flushed.wait()

    @property
    def _is_full(self) -> bool:
        return len(self._batch) >= MAX_ROWS or self._bytes >= MAX_BYTES

    async def _flush(self) -> None:
        """Write one batch after the other."""
        while not (self._closing and not self._batch):
            await self._added.wait()
            while not (self._is_full or self._closing) and (left := self._seconds_until_due()) > 0:
                self._added.clear()
                try:
                    await asyncio.wait_for(self._added.wait(), left)
                except TimeoutError:
                    break
            self._added.clear()
            batch, self._batch, self._bytes = self._batch, [], 0
            self._flushed.set()
            if batch:
                await self._write(batch)

    def _seconds_until_due(self) -> float:
        """Return the time until the batch is old enough. It ages while the one before is written."""
        return self._batch_began_s + MAX_DELAY_S - asyncio.get_running_loop().time()

    async def _write(self, batch: list[Delivered]) -> None:
        """Write the same batch until the store has it, unless all its partitions were revoked."""
        delays = backoff(RETRY_BACKOFF_S)
        while not all(delivery.is_revoked for _, delivery in batch):
            try:
                await self._stage.write_batch([record for record, _ in batch])
            except Exception as error:  # noqa: BLE001 - no error of a store may lose a record
                delay_s = next(delays)
                log.warning(
                    "store.write_failed",
                    stage=self._stage.name,
                    rows=len(batch),
                    retry_after_s=delay_s,
                    **describe_error(error),
                )
                await asyncio.sleep(delay_s)
            else:
                break
        self._finish(batch)

    def revoke(self, partitions: set[tuple[str, int]]) -> None:
        """Do nothing: the store counts a row once, also if it is written twice."""

    async def drain(self) -> None:
        """Write the records that were added."""
        self._closing = True
        self._added.set()
        self._flushed.set()
        if self._flusher is not None:
            await asyncio.wait([self._flusher])

    async def close(self) -> None:
        """Give up the records that are not written, and close the stage. They are delivered again."""
        if self._flusher is not None:
            self._flusher.cancel()
            await asyncio.wait([self._flusher])
        await self._stage.close()
