from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any, cast

import pytest

from connectors.kafka.clients.follower import TopicFollower
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from schemas.events.catalog import AttemptFinished, AttemptStarted
from schemas.events.parts import Request
from schemas.events.request_id import named_request_id
from schemas.kafka.topics import Topics
from streams.call.attempts import RequestEnd, to_withdrawn_event
from streams.call.idempotency.answer_lookup import AnswerLookup
from streams.call.idempotency.claims import Completed, InDoubt, Unclaimed
from streams.call.idempotency.ledger import CLOCK_SKEW_MS, RequestLedger
from streams.call.stage import CallStage
from streams.pipeline.failures import unavailable
from streams.pipeline.settlement import settle
from tests.eventually import eventually
from tests.factories import make_request, now_ms, record, routed
from tests.streams.call.idempotency.answer_history import PARTITION, FakeTopicHistory, answer_record, named_request
from tests.streams.call.scripted_provider import a_start, answer, never, scripted, work


def remembering(history: FakeTopicHistory | None = None) -> tuple[RequestLedger, AnswerLookup]:
    history = history if history is not None else FakeTopicHistory()
    recall = AnswerLookup(lambda: history)
    return RequestLedger("w1", time.time, Topics(), answer_lookup=recall), recall


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
    memory = RequestLedger("w1", time.time, Topics())

    assert await memory.claim(named_request(), PARTITION) == Unclaimed()


async def test_an_answer_of_hours_ago_is_the_end_of_a_named_request() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request))
    memory, recall = remembering(history)
    recall.observe(history.records[7])

    claim = await memory.claim(request, PARTITION)

    assert isinstance(claim, Completed)
    assert claim.end.attempts[-1].body == '{"id": "paid"}'


async def test_a_request_that_nobody_named_is_not_looked_for() -> None:
    history = FakeTopicHistory()
    memory, recall = remembering(history)
    recall.index_partition(PARTITION, now_ms())

    assert await memory.claim(make_request(), PARTITION) == Unclaimed()

    assert history.reads == 0
    await memory.close()


async def test_of_two_repeats_that_wait_for_the_look_back_one_is_fresh_and_the_other_joins_it() -> None:
    request, history = named_request(), FakeTopicHistory()
    memory, recall = remembering(history)
    recall.index_partition(PARTITION, now_ms())

    async def called() -> bool:
        claim = await memory.claim(request, PARTITION)
        if not isinstance(claim, Unclaimed):
            return False
        memory.claims.claim(request.request_id, PARTITION)
        await asyncio.sleep(0)
        memory.claims.release(request.request_id, RequestEnd(request, "answered", None, (), now_ms()))
        return True

    both = asyncio.gather(called(), called())
    await asyncio.sleep(0)
    history.released.set()

    assert sorted(await both) == [False, True]


async def test_a_call_elsewhere_is_waited_for_until_its_time_is_over_and_is_then_in_doubt() -> None:
    request = make_request()
    memory = RequestLedger("w1", time.time, Topics())
    memory.claims.observe(record(started(request, expires_in_ms=50)))

    claim = await memory.claim(request, PARTITION)

    assert isinstance(claim, InDoubt)
    assert now_ms() >= claim.started.expires_at


async def test_a_partition_that_is_left_is_forgotten_in_every_memory() -> None:
    request = make_request(request_id=named_request_id("acme", "a"))
    history = FakeTopicHistory(answer_record(request))
    memory, recall = remembering(history)
    recall.observe(history.records[7])
    memory.claims.observe(record(started(named_request("b"), 60_000), partition=PARTITION))

    memory.forget(PARTITION)

    assert await memory.claim(request, PARTITION) == Unclaimed()
    assert await memory.claim(named_request("b"), PARTITION) == Unclaimed()


async def test_it_looks_back_through_a_partition_that_it_gets() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=3_600_000))
    history.released.set()
    memory, _ = remembering(history)

    await memory.catch_up(PARTITION, now_ms())

    assert isinstance(await memory.claim(request, PARTITION), Completed)
    await memory.close()


class Followed:
    """A follower that notes what it is asked, and what it is left with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int]] = []
        self.held: set[tuple[str, int]] = set()

    async def follow(self, topic: str, partition: int, since_ms: int) -> None:
        self.asked.append((topic, since_ms))
        self.held.add((topic, partition))

    def leave(self, topic: str, partition: int) -> None:
        self.held.discard((topic, partition))

    async def stop(self) -> None:
        pass


async def test_of_two_lanes_the_partition_is_learned_from_the_earlier_first_record_on() -> None:
    followed = Followed()
    memory = RequestLedger("w1", time.time, Topics(), lambda _: cast("TopicFollower", followed))
    now = now_ms()

    for since_ms in (now, now + 5, now - 7000, now - 50):
        await memory.catch_up(PARTITION, since_ms)
    memory.forget(PARTITION)
    await memory.catch_up(PARTITION, now)

    topics = Topics()
    assert followed.asked == [
        (topic.name, since_ms - CLOCK_SKEW_MS)
        for since_ms in (now, now - 7000, now)
        for topic in (topics.attempts, topics.outcomes)
    ]
    assert followed.held == {(topics.attempts.name, PARTITION)}


async def test_a_redelivered_request_joins_the_running_call() -> None:
    gate = asyncio.Event()

    async def wait(call: ProviderCall) -> ProviderAnswer:
        await gate.wait()
        return await answer(call)

    stage, provider = scripted(wait)
    event = routed()
    both = [asyncio.create_task(work(event, stage)) for _ in range(2)]
    await eventually(lambda: provider.calls)

    gate.set()
    first, second = await asyncio.gather(*both)

    assert len(provider.calls) == 1
    assert second == [first[-1]]


async def test_a_cancelled_call_leaves_nothing_running_and_can_be_worked_again() -> None:
    stage, provider = scripted(never)
    event = routed()
    before = asyncio.all_tasks()
    task = asyncio.create_task(work(event, stage))
    await eventually(lambda: provider.calls)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    provider.act = answer
    outcome = await work(event, stage)

    assert asyncio.all_tasks() == before
    assert outcome[-1].outcome == "answered"


async def test_who_waited_for_a_cancelled_call_takes_it_over() -> None:
    stage, provider = scripted(never)
    event = routed()
    runner, joiner = (asyncio.create_task(work(event, stage)) for _ in range(2))
    await eventually(lambda: provider.calls)

    provider.act = answer
    runner.cancel()

    assert (await joiner)[-1].outcome == "answered"
    assert len(provider.calls) == 2


async def test_after_a_lost_partition_the_call_is_finished_but_no_other_is_started() -> None:
    async def lose(_: ProviderCall) -> ProviderAnswer:
        stage.claims.revoke(3)
        raise TimeoutError

    stage, provider = scripted(lose)

    outputs = await work(routed(), stage)

    assert [type(event) for event in outputs] == [AttemptFinished]
    assert len(provider.calls) == 1


async def waiting(stage: CallStage) -> tuple[AttemptStarted, asyncio.Task[Sequence[Any]]]:
    """A request at which another worker is, and our wait for it."""
    event = routed()
    start = a_start(event, expires_at=now_ms() + 20_000)
    stage.claims.observe(record(start))
    task = asyncio.create_task(work(event, stage))
    await asyncio.sleep(0)
    return start, task


async def test_an_attempt_that_another_worker_takes_back_is_not_waited_for() -> None:
    stage, provider = scripted(answer)
    start, task = await waiting(stage)

    stage.claims.observe(record(to_withdrawn_event(start, now_ms())))
    settled = (await task)[-1]

    assert (settled.outcome, settled.attempts, len(provider.calls)) == ("answered", 1, 1)


@pytest.mark.parametrize("on_in_doubt", ["retry", "fail"])
async def test_an_attempt_in_doubt_is_tried_again_or_failed_as_the_route_says(on_in_doubt: str) -> None:
    stage, provider = scripted(answer)
    event = routed(on_in_doubt=on_in_doubt)
    stage.claims.observe(record(a_start(event, expires_at=now_ms() - 1)))

    settled = (await work(event, stage))[-1]

    if on_in_doubt == "retry":
        assert (settled.outcome, settled.attempts, len(provider.calls)) == ("answered", 2, 1)
    else:
        assert (settled.outcome, settled.failure.code, len(provider.calls)) == ("failed", "in_doubt", 0)


async def test_an_attempt_of_another_worker_is_waited_for_and_its_answer_used() -> None:
    stage, provider = scripted(never)
    start, task = await waiting(stage)

    shared: dict[str, Any] = {
        name: getattr(start, name) for name in ("request", "attempt", "provider", "model", "worker", "started_at")
    }
    stage.claims.observe(record(AttemptFinished(**shared, finished_at=9, body="{}")))
    (settled,) = await task

    assert (settled.outcome, settled.output, settled.replayed) == ("answered", "{}", False)
    assert not provider.calls


async def test_a_worker_that_dies_of_a_request_again_and_again_is_not_fed_it_for_ever() -> None:
    stage, provider = scripted(answer)
    event = routed(max_attempts=3)
    stage.claims.observe(record(a_start(event, attempt=3, expires_at=now_ms() - 1)))

    (settled,) = await work(event, stage)

    assert (settled.outcome, settled.failure.code) == ("failed", "timeout")
    assert not provider.calls


async def test_what_another_worker_failed_without_a_call_is_not_called_after_all() -> None:
    stage, provider = scripted(answer)
    event = routed()
    ended = settle(event, "failed", unavailable(3.0), now_ms())
    stage.claims.observe(record(ended, Topics().outcomes.name))

    (again,) = await work(event, stage)

    assert (again.outcome, again.failure.code, again.settled_at) == ("failed", "provider_unavailable", ended.settled_at)
    assert not provider.calls


async def test_who_asks_again_under_the_name_of_what_was_refused_or_failed_elsewhere_is_called() -> None:
    stage, provider = scripted(answer)
    name = named_request_id("default", "order-7")
    first, again = routed(request_id=name), routed(request_id=name, received_at=now_ms() + 1)
    stage.claims.observe(record(settle(first, "refused", unavailable(3.0), now_ms()), Topics().outcomes.name))

    end = (await work(again, stage))[-1]

    assert (end.outcome, end.replayed, len(provider.calls)) == ("answered", False, 1)


async def test_a_call_that_failed_while_its_partition_went_and_came_back_is_not_numbered_twice() -> None:
    async def lose_and_fail(_: ProviderCall) -> ProviderAnswer:
        stage.on_partition_revoked(3)
        raise ProviderError("server", "it broke")

    async def act(call: ProviderCall) -> ProviderAnswer:
        return await (answer if provider.calls[1:] else lose_and_fail)(call)

    stage, provider = scripted(act)
    event = routed()

    (failed,) = await work(event, stage)
    answered_later, end = (await work(event, stage))[-2:]

    assert (failed.attempt, answered_later.attempt, end.attempts, len(provider.calls)) == (1, 2, 2, 2)
