"""Those who wait for their turn: interactive ones before batch, then the nearest deadline first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Protocol

from schemas.events.vocabulary import Lane
from streams.call.traffic.rate_limit import RequestCost


class Waiting(Protocol):
    """A line with somebody in it: ``streams.call.traffic.wait_queue``."""

    def wake(self) -> None:
        """Let in who can be let in."""
        ...


class WaiterGroup:
    """The lines, and how many in them go first."""

    def __init__(self) -> None:
        self.queues: dict[Waiting, None] = {}
        self.interactive = 0
        """How many wait of this lane."""

    def wake(self) -> None:
        """Let in who can be let in: something was given back."""
        for line in tuple(self.queues):
            line.wake()

    @contextlib.contextmanager
    def registered(self, lane: Lane) -> Iterator[None]:
        """Be counted among those who wait."""
        self.interactive += lane == "interactive"
        try:
            yield
        finally:
            self.interactive -= lane == "interactive"
            if lane == "interactive" and not self.interactive:
                self.wake()  # it is the turn of those behind


TryAcquire = Callable[[RequestCost, Lane], float]
"""Take what a call needs and return 0; or take nothing and return how many seconds to wait, inf if nobody knows."""


class WaitQueue:
    """A line in front of something that is taken and given back.

    Args:
        take: see above.
        give_back: what was taken for somebody who is gone.
        foresee: how many seconds so much would take from now on, as far as that is known; it may be less.
        crowd: all who wait for the same; who gives something back wakes them.

    """

    def __init__(
        self,
        take: TryAcquire,
        give_back: Callable[[Lane], None],
        foresee: Callable[[RequestCost], float],
        crowd: WaiterGroup,
    ) -> None:
        self._try_acquire = take
        self._release = give_back
        self._estimate_wait = foresee
        self._waiters = crowd
        self._waiting: list[tuple[bool, float, int, RequestCost, asyncio.Future[bool]]] = []
        self._wanted: dict[Lane, RequestCost] = {"interactive": RequestCost(0.0, 0.0), "batch": RequestCost(0.0, 0.0)}
        """By all who wait, in each lane."""
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, cost: RequestCost, left_s: float = math.inf, lane: Lane = "interactive") -> float | None:
        """Wait for as much, at most ``left_s`` seconds.

        Returns:
            None if it was taken. Else the seconds that it takes, if they are known and too many, in which case nobody
            has waited; inf if the wait was in vain.

        """
        if left_s <= 0:
            return math.inf
        if not self._waiting and self._try_acquire(cost, lane) == 0:  # the usual case, which needs no timer
            return None
        if (wait_s := self._estimate_wait(_sum(cost, *self._before(lane)))) >= left_s:
            return wait_s
        self._wanted[lane] = _sum(self._wanted[lane], cost)
        try:
            with self._waiters.registered(lane):
                return None if await self._waited(cost, left_s, lane) else math.inf
        finally:
            self._wanted[lane] = _sum(self._wanted[lane], RequestCost(-cost.requests, -cost.tokens))

    def _before(self, lane: Lane) -> tuple[RequestCost, ...]:
        """What those take who are let in before one who comes now."""
        return (self._wanted["interactive"],) if lane == "interactive" else tuple(self._wanted.values())

    def wake(self) -> None:
        """Let in who can be let in: something was given back, or has grown."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            batch, *_, cost, future = self._waiting[0]
            if not future.done():
                if (wait_s := self._try_acquire(cost, "batch" if batch else "interactive")) > 0:
                    self._wake_in(wait_s)
                    return
                future.set_result(True)
            heapq.heappop(self._waiting)
        self._waiters.queues.pop(self, None)

    def _wake_in(self, wait_s: float) -> None:
        if wait_s != math.inf:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.wake)

    async def _waited(self, cost: RequestCost, left_s: float, lane: Lane) -> bool:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        heapq.heappush(self._waiting, (lane == "batch", loop.time() + left_s, next(self._numbers), cost, future))
        self._waiters.queues[self] = None
        limit = loop.call_later(left_s, _cancel, future) if left_s != math.inf else None
        self.wake()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.result():
                self._release(lane)
            self.wake()
            raise
        finally:
            if limit is not None:
                limit.cancel()


def _sum(*costs: RequestCost) -> RequestCost:
    return RequestCost(sum(cost.requests for cost in costs), sum(cost.tokens for cost in costs))


def _cancel(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)
