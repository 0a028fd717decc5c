from __future__ import annotations

import asyncio
import math

import pytest

from schemas.events.vocabulary import Lane
from streams.call.traffic.rate_limit import RequestCost
from streams.call.traffic.wait_queue import WaiterGroup, WaitQueue
from tests.eventually import eventually

ONE = RequestCost()


class Permits:
    """Resource with a number of permits behind a queue."""

    def __init__(self, free: int, wait_s: float = math.inf) -> None:
        self.free = free
        self.wait_s = wait_s
        self.granted: list[Lane] = []
        self.waiters = WaiterGroup()
        self.queue = WaitQueue(
            self.try_acquire,
            self.release,
            lambda cost: cost.requests * wait_s if wait_s < math.inf else 0.0,
            self.waiters,
        )

    def try_acquire(self, _: RequestCost, lane: Lane) -> float:
        if not self.free:
            return self.wait_s
        self.free -= 1
        self.granted.append(lane)
        return 0.0

    def release(self, _: Lane = "interactive") -> None:
        self.free += 1
        self.waiters.wake()


async def queued(permits: Permits, left_s: float, order: list[float]) -> None:
    if await permits.queue.acquire(ONE, left_s) is None:
        order.append(left_s)


async def test_acquire_does_not_wait_while_permits_are_free() -> None:
    permits = Permits(2)

    assert [await permits.queue.acquire(ONE, 1.0) for _ in range(2)] == [None, None]
    assert await permits.queue.acquire(ONE, 0.01) == math.inf
    assert await permits.queue.acquire(ONE, 0.0) == math.inf


async def test_nearest_deadline_is_admitted_first() -> None:
    permits, order = Permits(0), list[float]()
    waiting = [asyncio.create_task(queued(permits, left_s, order)) for left_s in (30.0, 10.0, 20.0)]
    await asyncio.sleep(0)

    for _ in range(3):
        permits.release()
        await asyncio.sleep(0)

    await asyncio.gather(*waiting)
    assert order == [10.0, 20.0, 30.0]
    assert not permits.waiters.queues


async def test_acquire_returns_an_estimated_wait_beyond_the_timeout_at_once() -> None:
    permits = Permits(0, wait_s=5.0)

    assert await permits.queue.acquire(ONE, 3.0) == 5.0


async def test_estimated_wait_includes_the_calls_ahead() -> None:
    permits = Permits(0, wait_s=5.0)
    first = asyncio.create_task(permits.queue.acquire(ONE, 7.0))
    await asyncio.sleep(0)

    assert await permits.queue.acquire(ONE, 7.0) == 10.0
    first.cancel()
    await asyncio.wait({first})
    assert await permits.queue.acquire(ONE, 3.0) == 5.0


async def test_queue_retries_after_the_reported_wait() -> None:
    permits = Permits(0, wait_s=0.01)
    waiting = asyncio.create_task(permits.queue.acquire(ONE, 5.0))
    await asyncio.sleep(0)

    permits.free = 1

    assert await asyncio.wait_for(waiting, 1.0) is None


async def test_cancelled_waiter_leaves_its_place_to_the_next() -> None:
    permits, order = Permits(0), list[float]()
    cancelled = asyncio.create_task(queued(permits, 1.0, order))
    next_one = asyncio.create_task(queued(permits, 2.0, order))
    await asyncio.sleep(0)

    cancelled.cancel()
    await asyncio.wait({cancelled})
    permits.release()
    await next_one

    assert (order, permits.free) == ([2.0], 0)


async def test_waiter_cancelled_with_a_granted_permit_releases_it() -> None:
    permits = Permits(0)
    waiting = asyncio.create_task(permits.queue.acquire(ONE, 5.0))
    await asyncio.sleep(0)

    permits.release()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert permits.free == 1


async def test_timed_out_waiter_does_not_block_the_queue() -> None:
    permits = Permits(0)
    assert await permits.queue.acquire(ONE, 0.01) == math.inf

    waiting = asyncio.create_task(permits.queue.acquire(ONE, 5.0))
    await eventually(lambda: permits.waiters.queues)
    permits.release()

    assert await waiting is None


async def test_interactive_lane_is_admitted_before_the_batch_lane() -> None:
    permits = Permits(0)
    batch = [asyncio.create_task(permits.queue.acquire(ONE, 1.0, "batch")) for _ in range(2)]
    await asyncio.sleep(0)
    interactive = asyncio.create_task(permits.queue.acquire(ONE, 30.0))
    await asyncio.sleep(0)

    for _ in range(3):
        permits.release()
        await asyncio.sleep(0)

    await asyncio.gather(*batch, interactive)
    assert permits.granted == ["interactive", "batch", "batch"]


async def test_estimated_wait_of_the_interactive_lane_ignores_the_batch_lane() -> None:
    permits = Permits(0, wait_s=5.0)
    behind = asyncio.create_task(permits.queue.acquire(ONE, 9.0, "batch"))
    await asyncio.sleep(0)

    assert await permits.queue.acquire(ONE, 5.0) == 5.0
    assert await permits.queue.acquire(ONE, 9.0, "batch") == 10.0
    behind.cancel()
