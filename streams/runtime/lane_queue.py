"""Queue of fetched records that are not started yet: interactive records first, batch records in small slices."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from schemas.kafka.records import ConsumerRecord
from streams.runtime.batch_throttle import BatchThrottle
from streams.runtime.offset_tracker import Delivered

BATCH_SLICE = 16
"""Batch records that start together: at most this many precede an interactive one."""
MAX_INTERACTIVE_FETCHES = 16
"""Fetches of interactive records in the queue; beyond it ``put`` blocks, and the rest waits in Kafka."""
MAX_BATCH_FETCHES = 500
"""Batch records in the queue; beyond it no more are fetched."""


class LaneQueue:
    """Queue of two lanes.

    Args:
        is_batch: returns whether a topic belongs to the batch lane.
        batch_available: returns how many batch records may start now.
        changed: set whenever the queue or ``batch_available`` has changed.

    """

    def __init__(
        self, is_batch: Callable[[str], bool], batch_available: Callable[[], int], changed: asyncio.Event
    ) -> None:
        self._is_batch = is_batch
        self._batch_available = batch_available
        self._changed = changed
        self._interactive: deque[list[Delivered]] = deque()
        self._batch: deque[Delivered] = deque()
        self._throttle = BatchThrottle(changed.set)
        self._slice_returned = False
        self._closed = False

    async def put(self, batch: list[Delivered]) -> None:
        """Add the records of one partition; return when there is room for more."""
        if self._is_batch(batch[0][0].topic):
            self._batch.extend(batch)
        else:
            self._interactive.append(batch)
            self._throttle.interactive_seen()
        self._changed.set()
        while len(self._interactive) >= MAX_INTERACTIVE_FETCHES:
            await self._wait_for_change()

    def accepts(self, topic: str) -> bool:
        """Return whether more records of this topic may be fetched."""
        return len(self._batch) < MAX_BATCH_FETCHES or not self._is_batch(topic)

    def close(self) -> None:
        """Return no more records. Those in the queue are delivered again, to the next worker."""
        self._closed = True

    async def get(self) -> list[Delivered]:
        """Return the next records of one partition, once all returned before were started.

        Records of revoked partitions are skipped.
        """
        if self._slice_returned:
            self._slice_returned = False
            self._throttle.measure_lag()
        while True:
            if self._closed:
                await asyncio.get_running_loop().create_future()
            batch = self._interactive.popleft() if self._interactive else self._next_slice()
            kept = [(record, delivery) for record, delivery in batch if not delivery.is_revoked]
            if batch:
                self._changed.set()
            if kept:
                if self._is_batch(kept[0][0].topic):
                    self._slice_returned = True
                    self._throttle.pause()
                return kept
            if not batch:
                await self._wait_for_change()

    def _next_slice(self) -> list[Delivered]:
        """Return a few batch records of one partition, as many as may start now; none during a pause."""
        batch: list[Delivered] = []
        if self._throttle.is_pausing:
            return batch
        limit = min(BATCH_SLICE, self._batch_available())
        while self._batch and len(batch) < limit and _is_same_partition(self._batch[0][0], batch):
            batch.append(self._batch.popleft())
        return batch

    async def _wait_for_change(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _is_same_partition(record: ConsumerRecord, batch: list[Delivered]) -> bool:
    return not batch or (record.topic, record.partition) == (batch[0][0].topic, batch[0][0].partition)
