from __future__ import annotations

import asyncio
import time
from typing import cast

from connectors.kafka.follower import Follower
from schemas.events import AttemptStarted, Request
from schemas.identity import named_request_id
from streams.attempts import End
from streams.claims import Finished, Fresh, InDoubt
from streams.memory import CLOCK_SKEW_MS, Memory
from streams.recall import Recall
from tests.making import make_request, now_ms, record
from tests.streams.test_recall import PARTITION, Shelf, answered, named


def remembering(shelf: Shelf | None = None) -> tuple[Memory, Recall]:
    shelf = shelf if shelf is not None else Shelf()
    recall = Recall(lambda: shelf)
    return Memory("w1", time.time, recall=recall), recall


def started(request: Request, expires_in_ms: int) -> AttemptStarted:
    return AttemptStarted(
        request=request,
        attempt=1,
        provider="sim",
        model="echo",
        worker="elsewhere/1/1",
        started_at=now_ms(),
        expires_at=now_ms() + expires_in_ms,
    )


async def test_without_any_knowledge_a_request_is_fresh() -> None:
    memory = Memory("w1", time.time)

    assert await memory.claim(named(), PARTITION) == Fresh()


async def test_an_answer_of_hours_ago_is_the_end_of_a_named_request() -> None:
    request = named()
    shelf = Shelf(answered(request))
    memory, recall = remembering(shelf)
    recall.observe(shelf.records[7])

    claim = await memory.claim(request, PARTITION)

    assert isinstance(claim, Finished)
    assert claim.end.attempts[-1].body == '{"id": "paid"}'


async def test_a_request_that_nobody_named_is_not_looked_for() -> None:
    shelf = Shelf()
    memory, recall = remembering(shelf)
    recall.learn(PARTITION, now_ms())

    assert await memory.claim(make_request(), PARTITION) == Fresh()

    assert shelf.reads == 0
    await memory.close()


async def test_of_two_repeats_that_wait_for_the_look_back_one_is_fresh_and_the_other_joins_it() -> None:
    request, shelf = named(), Shelf()
    memory, recall = remembering(shelf)
    recall.learn(PARTITION, now_ms())

    async def called() -> bool:
        claim = await memory.claim(request, PARTITION)
        if not isinstance(claim, Fresh):
            return False
        memory.claims.take(request.request_id, PARTITION)
        await asyncio.sleep(0)
        memory.claims.release(request.request_id, End(request, "answered", None, (), now_ms()))
        return True

    both = asyncio.gather(called(), called())
    await asyncio.sleep(0)
    shelf.let.set()

    assert sorted(await both) == [False, True]


async def test_a_call_elsewhere_is_waited_for_until_its_time_is_over_and_is_then_in_doubt() -> None:
    request = make_request()
    memory = Memory("w1", time.time)
    memory.claims.observe(record(started(request, expires_in_ms=50)))

    claim = await memory.claim(request, PARTITION)

    assert isinstance(claim, InDoubt)
    assert now_ms() >= claim.started.expires_at


async def test_a_partition_that_is_left_is_forgotten_in_every_memory() -> None:
    request = make_request(request_id=named_request_id("acme", "a"))
    shelf = Shelf(answered(request))
    memory, recall = remembering(shelf)
    recall.observe(shelf.records[7])
    memory.claims.observe(record(started(named("b"), 60_000), partition=PARTITION))

    memory.leave(PARTITION)

    assert await memory.claim(request, PARTITION) == Fresh()
    assert await memory.claim(named("b"), PARTITION) == Fresh()


async def test_it_looks_back_through_a_partition_that_it_gets() -> None:
    request = named()
    shelf = Shelf(answered(request, age_ms=3_600_000))
    shelf.let.set()
    memory, _ = remembering(shelf)

    await memory.learn(PARTITION, now_ms())

    assert isinstance(await memory.claim(request, PARTITION), Finished)
    await memory.close()


class Followed:
    """A follower that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []

    async def follow(self, _: int, since_ms: int) -> None:
        self.asked.append(since_ms)

    def leave(self, _: int) -> None:
        pass

    async def stop(self) -> None:
        pass


async def test_of_two_lanes_the_partition_is_learned_from_the_earlier_first_record_on() -> None:
    followed = Followed()
    memory = Memory("w1", time.time, lambda _: cast("Follower", followed))
    now = now_ms()

    for since_ms in (now, now + 5, now - 7000, now - 50):
        await memory.learn(PARTITION, since_ms)
    memory.leave(PARTITION)
    await memory.learn(PARTITION, now)

    assert followed.asked == [since_ms - CLOCK_SKEW_MS for since_ms in (now, now - 7000, now)]
