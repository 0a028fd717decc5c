"""Priority queue of calls that wait for a permit: interactive before batch, then the nearest deadline first."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
from collections.abc import Callable, Iterator

from schemas.events.vocabulary import Lane
from streams.call.traffic.rate_limit import RequestCost


class WaiterGroup:
    """Queues that wait for the same bulkhead. A release wakes all of them."""

    def __init__(self) -> None:
        self.queues: dict[WaitQueue, None] = {}
        """Queues that are not empty, in the order in which they became so."""
        self.interactive = 0
        """Interactive calls that wait in any queue."""

    def wake(self) -> None:
        """Wake all queues after a release."""
        for queue in tuple(self.queues):
            queue.wake()

    @contextlib.contextmanager
    def registered(self, lane: Lane) -> Iterator[None]:
        """Count a call among those that wait."""
        self.interactive += lane == "interactive"
        try:
            yield
        finally:
            self.interactive -= lane == "interactive"
            if lane == "interactive" and not self.interactive:
                self.wake()  # no interactive call is left: batch calls may proceed


TryAcquire = Callable[[RequestCost, Lane], float]
"""Takes the permits for a call and returns 0; or takes none and returns the seconds to wait, inf if unknown."""


class WaitQueue:
    """Queue in front of a resource with permits.

    Args:
        try_acquire: takes the permits of a call.
        release: returns the permits of a call that was cancelled while they were granted to it.
        estimate_wait: lower bound of the seconds until a total cost is admitted.
        waiters: all queues that wait for the same bulkhead.

    """

    def __init__(
        self,
        try_acquire: TryAcquire,
        release: Callable[[Lane], None],
        estimate_wait: Callable[[RequestCost], float],
        waiters: WaiterGroup,
    ) -> None:
        self._try_acquire = try_acquire
        self._release = release
        self._estimate_wait = estimate_wait
        self._waiters = waiters
        self._waiting: list[tuple[bool, float, int, RequestCost, asyncio.Future[bool]]] = []
        self._queued_cost: dict[Lane, RequestCost] = {
            "interactive": RequestCost(0.0, 0.0),
            "batch": RequestCost(0.0, 0.0),
        }
        """Total cost of the calls that wait, by lane."""
        self._sequence = itertools.count()
        self._timer: asyncio.TimerHandle | None = None

    async def acquire(self, cost: RequestCost, timeout_s: float = math.inf, lane: Lane = "interactive") -> float | None:
        """Wait for the permits of a call, at most ``timeout_s`` seconds.

        Returns:
            None if the permits were taken. Otherwise the estimated wait in seconds, if it exceeds the timeout: then the
            call has not waited at all. inf if the timeout passed without a permit.

        """
        if timeout_s <= 0:
            return math.inf
        if not self._waiting and self._try_acquire(cost, lane) == 0:  # the usual case, which needs no timer
            return None
        if (wait_s := self._estimate_wait(_sum(cost, *self._costs_ahead(lane)))) >= timeout_s:
            return wait_s
        self._queued_cost[lane] = _sum(self._queued_cost[lane], cost)
        try:
            with self._waiters.registered(lane):
                return None if await self._wait(cost, timeout_s, lane) else math.inf
        finally:
            self._queued_cost[lane] = _sum(self._queued_cost[lane], RequestCost(-cost.requests, -cost.tokens))

    def _costs_ahead(self, lane: Lane) -> tuple[RequestCost, ...]:
        """Return the costs of the calls that are admitted before a new one of this lane."""
        return (self._queued_cost["interactive"],) if lane == "interactive" else tuple(self._queued_cost.values())

    def wake(self) -> None:
        """Admit the first calls as far as permits are available."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            is_batch, *_, cost, future = self._waiting[0]
            if not future.done():
                if (wait_s := self._try_acquire(cost, "batch" if is_batch else "interactive")) > 0:
                    self._wake_in(wait_s)
                    return
                future.set_result(True)
            heapq.heappop(self._waiting)
        self._waiters.queues.pop(self, None)

    def _wake_in(self, wait_s: float) -> None:
        if wait_s != math.inf:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self.wake)

    async def _wait(self, cost: RequestCost, timeout_s: float, lane: Lane) -> bool:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[bool] = loop.create_future()
        heapq.heappush(self._waiting, (lane == "batch", loop.time() + timeout_s, next(self._sequence), cost, future))
        self._waiters.queues[self] = None
        timeout = loop.call_later(timeout_s, _give_up, future) if timeout_s != math.inf else None
        self.wake()
        try:
            return await future
        except asyncio.CancelledError:
            if not future.cancelled() and future.result():
                self._release(lane)
            self.wake()
            raise
        finally:
            if timeout is not None:
                timeout.cancel()


def _sum(*costs: RequestCost) -> RequestCost:
    return RequestCost(sum(cost.requests for cost in costs), sum(cost.tokens for cost in costs))


def _give_up(future: asyncio.Future[bool]) -> None:
    if not future.done():
        future.set_result(False)
