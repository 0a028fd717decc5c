"""What a worker has fetched and not begun: interactive records first, and a few batch records when there are none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from schemas.kafka.records import ConsumerRecord
from streams.runtime.batch_throttle import BatchThrottle
from streams.runtime.offset_tracker import Delivery

Delivered = tuple[ConsumerRecord, Delivery]

BATCH_SLICE = 16
"""Batch records that are begun at a time: so many come before an interactive one at most."""
MAX_INTERACTIVE_FETCHES = 16
"""Fetches of interactive records that wait here; then the rest waits in Kafka."""
MAX_BATCH_FETCHES = 500
"""Batch records that wait here, from which on no more are fetched."""


class LaneQueue:
    """Takes what is fetched and gives what is next.

    Args:
        is_batch: whether a topic is of the batch lane.
        places: how many batch records may be begun now; asked again after every ``wake``.

    """

    def __init__(self, is_batch: Callable[[str], bool], places: Callable[[], int]) -> None:
        self._is_batch = is_batch
        self._batch_available = places
        self._interactive: deque[list[Delivered]] = deque()
        self._batch: deque[Delivered] = deque()
        self._changed = asyncio.Event()
        self._throttle = BatchThrottle(self.notify)
        self._given_slice = False
        self._closed = False

    async def put(self, batch: list[Delivered]) -> None:
        """Take the records of one partition; returns when there is room for more."""
        if self._is_batch(batch[0][0].topic):
            self._batch.extend(batch)
        else:
            self._interactive.append(batch)
            self._throttle.interactive_seen()
        self.notify()
        while len(self._interactive) >= MAX_INTERACTIVE_FETCHES:
            await self._changes()

    def accepts(self, topic: str) -> bool:
        """Whether more of this topic's records may be fetched."""
        return len(self._batch) < MAX_BATCH_FETCHES or not self._is_batch(topic)

    def notify(self) -> None:
        """Something has changed: records came, or places became free."""
        self._changed.set()

    def close(self) -> None:
        """Give nothing more: what was not begun is delivered again, to the next worker."""
        self._closed = True

    async def get(self) -> list[Delivered]:
        """The next records of one partition; those before have been begun.

        What was lost with its partition meanwhile is passed over.
        """
        if self._given_slice:
            self._given_slice = False
            self._throttle.measure_lag()
        while True:
            if self._closed:
                await asyncio.get_running_loop().create_future()
            batch = self._interactive.popleft() if self._interactive else self._slice()
            kept = [(record, delivery) for record, delivery in batch if not delivery.is_revoked]
            if batch:
                self.notify()
            if kept:
                if self._is_batch(kept[0][0].topic):
                    self._given_slice = True
                    self._throttle.pause()
                return kept
            if not batch:
                await self._changes()

    def _slice(self) -> list[Delivered]:
        """A few batch records of one partition, as many as there are places for, when it is their turn."""
        batch: list[Delivered] = []
        if self._throttle.is_pausing:
            return batch
        most = min(BATCH_SLICE, self._batch_available())
        while self._batch and len(batch) < most and _same_partition(self._batch[0][0], batch):
            batch.append(self._batch.popleft())
        return batch

    async def _changes(self) -> None:
        self._changed.clear()
        await self._changed.wait()


def _same_partition(record: ConsumerRecord, batch: list[Delivered]) -> bool:
    return not batch or (record.topic, record.partition) == (batch[0][0].topic, batch[0][0].partition)
