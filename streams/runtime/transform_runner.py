"""How a stage that only thinks takes records: by batches, each finished when all that it led to is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from schemas.kafka.records import ProducerRecord
from streams.pipeline.stage import TransformStage
from streams.runtime.lane_queue import Delivered
from streams.runtime.output_writer import OutputWriter

Finish = Callable[[list[Delivered]], None]
"""Told of the records that have led to all they will lead to."""


class TransformRunner:
    """Walks batches through one stage."""

    def __init__(self, stage: TransformStage, outbox: OutputWriter, finish: Finish) -> None:
        self._stage = stage
        self._writer = outbox
        self._finish = finish
        self._settling: set[asyncio.Task[None]] = set()

    async def take(self, batch: list[Delivered]) -> None:
        """Let the stage think about each record, and post what it says."""
        posted: list[tuple[ProducerRecord, Awaitable[object] | None]] = []
        for record, _ in batch:
            try:
                for output in self._stage.process(record):
                    written = self._writer.append(output) or await self._writer.send(output)
                    posted.append((output, written))  # before the next one, which may fail
            except Exception as error:  # noqa: BLE001 - whatever a record does to a stage, its neighbours go on
                letter = self._writer.dead_letter(record, error)
                posted.append((letter, await self._writer.send(letter)))
        task = asyncio.ensure_future(self._settle(batch, posted))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(
        self, batch: list[Delivered], posted: list[tuple[ProducerRecord, Awaitable[object] | None]]
    ) -> None:
        await self._writer.flush(posted, lambda: not all(delivery.is_revoked for _, delivery in batch))
        self._finish(batch)

    def revoke(self, places: set[tuple[str, int]]) -> None:
        """Do nothing: deciding twice is harmless."""

    async def drain(self) -> None:
        """Wait until everything that was said is written."""
        while self._settling:
            await asyncio.wait(list(self._settling))

    async def close(self) -> None:
        """Give up what is not written."""
        for task in self._settling:
            task.cancel()
        await asyncio.gather(*self._settling, return_exceptions=True)
