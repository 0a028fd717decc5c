"""Bulkhead: limits the concurrent calls to one provider over all its targets, and those of the batch lane further."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from schemas.events.vocabulary import Lane
from streams.call.traffic.rate_limit import ONE_REQUEST, RequestCost
from streams.call.traffic.wait_queue import WaiterGroup, WaitQueue

COMPLETIONS_KEPT = 64
"""Latest completions from which the drain time is estimated."""


class Bulkhead:
    """Counts the calls in flight, and wakes waiting calls when one ends.

    Args:
        limit: maximum of concurrent calls.
        batch_share: share of the limit, above 0 and up to 1, that the batch lane may use; at least one call.
        clock: monotonic seconds.

    """

    def __init__(self, limit: int, batch_share: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.waiters = WaiterGroup()
        """All queues that wait for this bulkhead, also those that wait for more than that."""
        self._limit = limit
        self._batch_limit = share_of(limit, batch_share)
        self._in_flight = 0
        self._batch_in_flight = 0
        self._clock = clock
        self._completed_s: deque[float] = deque(maxlen=COMPLETIONS_KEPT)
        self._queue = WaitQueue(self._try_acquire, self.release, lambda _: 0.0, self.waiters)

    @property
    def free(self) -> int:
        """Number of permits left."""
        return self._limit - self._in_flight

    @property
    def in_use(self) -> int:
        """Calls in flight plus interactive calls that wait."""
        return self._in_flight + self.waiters.interactive

    def has_capacity(self, lane: Lane) -> bool:
        """Return whether a permit is left. The batch lane gets none while interactive calls wait."""
        if lane == "batch" and (self.waiters.interactive or self._batch_in_flight >= self._batch_limit):
            return False
        return self._in_flight < self._limit

    def try_acquire(self, lane: Lane = "interactive") -> bool:
        """Take a permit if one is left."""
        if not self.has_capacity(lane):
            return False
        self._in_flight += 1
        self._batch_in_flight += lane == "batch"
        return True

    def release(self, lane: Lane = "interactive") -> None:
        """Return a permit."""
        self._in_flight -= 1
        self._batch_in_flight -= lane == "batch"
        self._completed_s.append(self._clock())
        self.waiters.wake()

    def drain_time_s(self) -> float:
        """Estimate from the latest completions how long ``in_use`` calls take; inf if no call has ended yet."""
        if not self._completed_s:
            return math.inf
        return self.in_use * (self._clock() - self._completed_s[0]) / len(self._completed_s)

    @contextlib.asynccontextmanager
    async def acquire(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a permit, and return it on exit."""
        await self._queue.acquire(ONE_REQUEST, lane=lane)
        try:
            yield
        finally:
            self.release(lane)

    def _try_acquire(self, _: RequestCost, lane: Lane) -> float:
        return 0.0 if self.try_acquire(lane) else math.inf


def share_of(limit: int, share: float) -> int:
    """Return a share of a limit, at least 1."""
    return max(1, int(limit * share))
