from __future__ import annotations

import asyncio
import math

import pytest

from schemas.events.vocabulary import Lane
from streams.call.traffic.rate_limit import RequestCost
from streams.call.traffic.wait_queue import WaiterGroup, WaitQueue
from tests.eventually import eventually

ONE = RequestCost()


class Counter:
    """What a line stands before: so many, and no more until some are given back."""

    def __init__(self, free: int, wait_s: float = math.inf) -> None:
        self.free = free
        self.wait_s = wait_s
        self.taken: list[Lane] = []
        self.crowd = WaiterGroup()
        self.line = WaitQueue(
            self.take, self.give_back, lambda cost: cost.requests * wait_s if wait_s < math.inf else 0.0, self.crowd
        )

    def take(self, _: RequestCost, lane: Lane) -> float:
        if not self.free:
            return self.wait_s
        self.free -= 1
        self.taken.append(lane)
        return 0.0

    def give_back(self, _: Lane = "interactive") -> None:
        self.free += 1
        self.crowd.wake()


async def queued(counter: Counter, left_s: float, order: list[float]) -> None:
    if await counter.line.acquire(ONE, left_s) is None:
        order.append(left_s)


async def test_as_long_as_there_is_something_nobody_waits() -> None:
    counter = Counter(2)

    assert [await counter.line.acquire(ONE, 1.0) for _ in range(2)] == [None, None]
    assert await counter.line.acquire(ONE, 0.01) == math.inf
    assert await counter.line.acquire(ONE, 0.0) == math.inf


async def test_the_nearest_deadline_is_first() -> None:
    counter, order = Counter(0), list[float]()
    waiting = [asyncio.create_task(queued(counter, left_s, order)) for left_s in (30.0, 10.0, 20.0)]
    await asyncio.sleep(0)

    for _ in range(3):
        counter.give_back()
        await asyncio.sleep(0)

    await asyncio.gather(*waiting)
    assert order == [10.0, 20.0, 30.0]
    assert not counter.crowd.queues


async def test_who_would_wait_too_long_is_told_at_once_how_long() -> None:
    counter = Counter(0, wait_s=5.0)

    assert await counter.line.acquire(ONE, 3.0) == 5.0


async def test_who_comes_behind_others_counts_them() -> None:
    counter = Counter(0, wait_s=5.0)
    first = asyncio.create_task(counter.line.acquire(ONE, 7.0))
    await asyncio.sleep(0)

    assert await counter.line.acquire(ONE, 7.0) == 10.0
    first.cancel()
    await asyncio.wait({first})
    assert await counter.line.acquire(ONE, 3.0) == 5.0


async def test_what_grows_by_itself_is_looked_at_again_when_its_time_has_come() -> None:
    counter = Counter(0, wait_s=0.01)
    waiting = asyncio.create_task(counter.line.acquire(ONE, 5.0))
    await asyncio.sleep(0)

    counter.free = 1

    assert await asyncio.wait_for(waiting, 1.0) is None


async def test_who_leaves_makes_place_for_the_next() -> None:
    counter, order = Counter(0), list[float]()
    gone = asyncio.create_task(queued(counter, 1.0, order))
    stays = asyncio.create_task(queued(counter, 2.0, order))
    await asyncio.sleep(0)

    gone.cancel()
    await asyncio.wait({gone})
    counter.give_back()
    await stays

    assert (order, counter.free) == ([2.0], 0)


async def test_who_is_cancelled_at_the_very_moment_of_its_turn_gives_it_back() -> None:
    counter = Counter(0)
    waiting = asyncio.create_task(counter.line.acquire(ONE, 5.0))
    await asyncio.sleep(0)

    counter.give_back()
    waiting.cancel()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert counter.free == 1


async def test_one_that_gave_up_holds_up_nobody() -> None:
    counter = Counter(0)
    assert await counter.line.acquire(ONE, 0.01) == math.inf

    waiting = asyncio.create_task(counter.line.acquire(ONE, 5.0))
    await eventually(lambda: counter.crowd.queues)
    counter.give_back()

    assert await waiting is None


async def test_of_two_lanes_the_interactive_one_is_first_however_late_it_comes() -> None:
    counter = Counter(0)
    batch = [asyncio.create_task(counter.line.acquire(ONE, 1.0, "batch")) for _ in range(2)]
    await asyncio.sleep(0)
    interactive = asyncio.create_task(counter.line.acquire(ONE, 30.0))
    await asyncio.sleep(0)

    for _ in range(3):
        counter.give_back()
        await asyncio.sleep(0)

    await asyncio.gather(*batch, interactive)
    assert counter.taken == ["interactive", "batch", "batch"]


async def test_who_goes_first_does_not_count_those_behind() -> None:
    counter = Counter(0, wait_s=5.0)
    behind = asyncio.create_task(counter.line.acquire(ONE, 9.0, "batch"))
    await asyncio.sleep(0)

    assert await counter.line.acquire(ONE, 5.0) == 5.0
    assert await counter.line.acquire(ONE, 9.0, "batch") == 10.0
    behind.cancel()
