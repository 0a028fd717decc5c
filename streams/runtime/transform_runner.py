"""How a stage that only thinks takes records: by batches, each finished when all that it led to is written."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from schemas.kafka.records import Output
from streams.pipeline.stage import DecidingStage
from streams.runtime.lane_queue import Delivered
from streams.runtime.output_writer import Outbox

Finish = Callable[[list[Delivered]], None]
"""Told of the records that have led to all they will lead to."""


class Deciding:
    """Walks batches through one stage."""

    def __init__(self, stage: DecidingStage, outbox: Outbox, finish: Finish) -> None:
        self._stage = stage
        self._outbox = outbox
        self._finish = finish
        self._settling: set[asyncio.Task[None]] = set()

    async def take(self, batch: list[Delivered]) -> None:
        """Let the stage think about each record, and post what it says."""
        posted: list[tuple[Output, Awaitable[object] | None]] = []
        for record, _ in batch:
            try:
                for output in self._stage.handle(record):
                    written = self._outbox.append(output) or await self._outbox.post(output)
                    posted.append((output, written))  # before the next one, which may fail
            except Exception as error:  # noqa: BLE001 - whatever a record does to a stage, its neighbours go on
                letter = self._outbox.dead(record, error)
                posted.append((letter, await self._outbox.post(letter)))
        task = asyncio.ensure_future(self._settle(batch, posted))
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)

    async def _settle(self, batch: list[Delivered], posted: list[tuple[Output, Awaitable[object] | None]]) -> None:
        await self._outbox.deliver_all(posted, lambda: not all(delivery.lost for _, delivery in batch))
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
