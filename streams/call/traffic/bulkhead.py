"""Room for so many calls at once to one provider, whatever the target; a part of it, at most, for the batch lane."""

from __future__ import annotations

import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable

from schemas.events.vocabulary import Lane
from streams.call.traffic.rate_limit import RequestCost
from streams.call.traffic.wait_queue import WaiterGroup, WaitQueue

_INTERACTIVE_UNIT = RequestCost()
COMPLETIONS_KEPT = 64
"""Calls by whose ends the pace is told."""


class Bulkhead:
    """Counts calls under way, and wakes those who wait when one ends.

    Args:
        limit: calls at once.
        batch_share: the part of them, above 0 and up to 1, that the batch lane may have; one at least.
        clock: seconds that never go back.

    """

    def __init__(self, limit: int, batch_share: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self.waiters = WaiterGroup()
        """Who waits for this room, and perhaps for more."""
        self._limit = limit
        self._batch_limit = share_of(limit, batch_share)
        self._taken = 0
        self._batch = 0
        self._clock = clock
        self._ended_s: deque[float] = deque(maxlen=COMPLETIONS_KEPT)
        self._line = WaitQueue(self._turn, self.release, lambda _: 0.0, self.waiters)

    @property
    def free(self) -> int:
        """How many places there are."""
        return self._limit - self._taken

    @property
    def in_use(self) -> int:
        """How many are in it, or wait for it and go first."""
        return self._taken + self.waiters.interactive

    def has_capacity(self, lane: Lane) -> bool:
        """Whether one more may come in. Of the batch lane nobody may while others wait."""
        if lane == "batch" and (self.waiters.interactive or self._batch >= self._batch_limit):
            return False
        return self._taken < self._limit

    def try_acquire(self, lane: Lane = "interactive") -> bool:
        """Take a place, if there is one."""
        if not self.has_capacity(lane):
            return False
        self._taken += 1
        self._batch += lane == "batch"
        return True

    def release(self, lane: Lane = "interactive") -> None:
        """Give a place back."""
        self._taken -= 1
        self._batch -= lane == "batch"
        self._ended_s.append(self._clock())
        self.waiters.wake()

    def drain_time_s(self) -> float:
        """About how long until all that it holds has ended, by the pace of the last; inf if none has ended yet."""
        if not self._ended_s:
            return math.inf
        return self.in_use * (self._clock() - self._ended_s[0]) / len(self._ended_s)

    @contextlib.asynccontextmanager
    async def acquire(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a place, and give it back."""
        await self._line.acquire(_INTERACTIVE_UNIT, lane=lane)
        try:
            yield
        finally:
            self.release(lane)

    def _turn(self, _: RequestCost, lane: Lane) -> float:
        return 0.0 if self.try_acquire(lane) else math.inf


def share_of(limit: int, share: float) -> int:
    """So much of a limit, and one at least."""
    return max(1, int(limit * share))
