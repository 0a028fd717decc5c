from __future__ import annotations

import asyncio
import dataclasses
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
from tests.streams.call.scripted_provider import answer, hang, process, scripted_stage, started_by_dead_worker


def make_ledger(history: FakeTopicHistory | None = None) -> tuple[RequestLedger, AnswerLookup]:
    history = history if history is not None else FakeTopicHistory()
    lookup = AnswerLookup(lambda: history)
    return RequestLedger("w1", time.time, Topics(), answer_lookup=lookup), lookup


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


async def test_unknown_request_is_unclaimed() -> None:
    ledger = RequestLedger("w1", time.time, Topics())

    assert await ledger.claim(named_request(), PARTITION) == Unclaimed()


async def test_recorded_answer_completes_a_named_request() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request))
    ledger, lookup = make_ledger(history)
    lookup.observe(history.records[7])

    claim = await ledger.claim(request, PARTITION)

    assert isinstance(claim, Completed)
    assert claim.end.attempts[-1].body == '{"id": "paid"}'


async def test_unnamed_request_is_not_looked_up() -> None:
    history = FakeTopicHistory()
    ledger, lookup = make_ledger(history)
    lookup.index_partition(PARTITION, now_ms())

    assert await ledger.claim(make_request(), PARTITION) == Unclaimed()

    assert history.reads == 0
    await ledger.close()


async def test_one_of_two_requests_waiting_for_the_scan_is_unclaimed() -> None:
    request, history = named_request(), FakeTopicHistory()
    ledger, lookup = make_ledger(history)
    lookup.index_partition(PARTITION, now_ms())

    async def called() -> bool:
        claim = await ledger.claim(request, PARTITION)
        if not isinstance(claim, Unclaimed):
            return False
        ledger.claims.claim(request.request_id, PARTITION)
        await asyncio.sleep(0)
        ledger.claims.release(request.request_id, RequestEnd(request, "answered", None, (), now_ms()))
        return True

    both = asyncio.gather(called(), called())
    await asyncio.sleep(0)
    history.released.set()

    assert sorted(await both) == [False, True]


async def test_attempt_of_another_worker_is_in_doubt_after_it_expires() -> None:
    request = make_request()
    ledger = RequestLedger("w1", time.time, Topics())
    ledger.claims.observe(record(started(request, expires_in_ms=50)))

    claim = await ledger.claim(request, PARTITION)

    assert isinstance(claim, InDoubt)
    assert now_ms() >= claim.started.expires_at


async def test_forget_clears_claims_and_answers_of_the_partition() -> None:
    request = make_request(request_id=named_request_id("acme", "a"))
    history = FakeTopicHistory(answer_record(request))
    ledger, lookup = make_ledger(history)
    lookup.observe(history.records[7])
    ledger.claims.observe(record(started(named_request("b"), 60_000), partition=PARTITION))

    ledger.forget(PARTITION)

    assert await ledger.claim(request, PARTITION) == Unclaimed()
    assert await ledger.claim(named_request("b"), PARTITION) == Unclaimed()


async def test_catch_up_scans_the_partition_for_answers() -> None:
    request = named_request()
    history = FakeTopicHistory(answer_record(request, age_ms=3_600_000))
    history.released.set()
    ledger, _ = make_ledger(history)

    await ledger.catch_up(PARTITION, now_ms())

    assert isinstance(await ledger.claim(request, PARTITION), Completed)
    await ledger.close()


class RecordingFollower:
    """Follower that records the calls to it, and the partitions that it follows."""

    def __init__(self) -> None:
        self.followed: list[tuple[str, int]] = []
        self.held: set[tuple[str, int]] = set()

    async def follow(self, topic: str, partition: int, since_ms: int) -> None:
        self.followed.append((topic, since_ms))
        self.held.add((topic, partition))

    def leave(self, topic: str, partition: int) -> None:
        self.held.discard((topic, partition))

    async def stop(self) -> None:
        pass


async def test_catch_up_follows_from_the_earlier_record_of_both_lanes() -> None:
    follower = RecordingFollower()
    ledger = RequestLedger("w1", time.time, Topics(), lambda _: cast("TopicFollower", follower))
    now = now_ms()

    for since_ms in (now, now + 5, now - 7000, now - 50):
        await ledger.catch_up(PARTITION, since_ms)
    ledger.forget(PARTITION)
    await ledger.catch_up(PARTITION, now)

    topics = Topics()
    assert follower.followed == [
        (topic.name, since_ms - CLOCK_SKEW_MS)
        for since_ms in (now, now - 7000, now)
        for topic in (topics.attempts, topics.outcomes)
    ]
    assert follower.held == {(topics.attempts.name, PARTITION)}


async def test_redelivered_request_waits_for_the_running_call() -> None:
    release_calls = asyncio.Event()

    async def wait(call: ProviderCall) -> ProviderAnswer:
        await release_calls.wait()
        return await answer(call)

    stage, provider = scripted_stage(wait)
    event = routed()
    both = [asyncio.create_task(process(event, stage)) for _ in range(2)]
    await eventually(lambda: provider.calls)

    release_calls.set()
    first, second = await asyncio.gather(*both)

    assert len(provider.calls) == 1
    assert second == [first[-1]]


async def test_cancelled_call_leaves_no_task_and_can_be_repeated() -> None:
    stage, provider = scripted_stage(hang)
    event = routed()
    before = asyncio.all_tasks()
    task = asyncio.create_task(process(event, stage))
    await eventually(lambda: provider.calls)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    provider.act = answer
    outcome = await process(event, stage)

    assert asyncio.all_tasks() == before
    assert outcome[-1].outcome == "answered"


async def test_waiter_of_a_cancelled_call_takes_it_over() -> None:
    stage, provider = scripted_stage(hang)
    event = routed()
    runner, joiner = (asyncio.create_task(process(event, stage)) for _ in range(2))
    await eventually(lambda: provider.calls)

    provider.act = answer
    runner.cancel()

    assert (await joiner)[-1].outcome == "answered"
    assert len(provider.calls) == 2


async def test_revoked_request_finishes_its_call_and_starts_no_other() -> None:
    async def lose(_: ProviderCall) -> ProviderAnswer:
        stage.claims.revoke(3)
        raise TimeoutError

    stage, provider = scripted_stage(lose)

    outputs = await process(routed(), stage)

    assert [type(event) for event in outputs] == [AttemptFinished]
    assert len(provider.calls) == 1


async def waiting(stage: CallStage) -> tuple[AttemptStarted, asyncio.Task[Sequence[Any]]]:
    """Start to process a request that another worker has claimed; return that worker's attempt and the task."""
    event = routed()
    start = started_by_dead_worker(event, expires_at=now_ms() + 20_000)
    stage.claims.observe(record(start))
    task = asyncio.create_task(process(event, stage))
    await asyncio.sleep(0)
    return start, task


async def test_withdrawn_attempt_is_not_awaited() -> None:
    stage, provider = scripted_stage(answer)
    start, task = await waiting(stage)

    stage.claims.observe(record(to_withdrawn_event(start, now_ms())))
    settled = (await task)[-1]

    assert (settled.outcome, settled.attempts, len(provider.calls)) == ("answered", 1, 1)


@pytest.mark.parametrize("on_in_doubt", ["retry", "fail"])
async def test_attempt_in_doubt_is_retried_or_failed_as_configured(on_in_doubt: str) -> None:
    stage, provider = scripted_stage(answer)
    event = routed(on_in_doubt=on_in_doubt)
    stage.claims.observe(record(started_by_dead_worker(event, expires_at=now_ms() - 1)))

    settled = (await process(event, stage))[-1]

    if on_in_doubt == "retry":
        assert (settled.outcome, settled.attempts, len(provider.calls)) == ("answered", 2, 1)
    else:
        assert (settled.outcome, settled.failure.code, len(provider.calls)) == ("failed", "in_doubt", 0)


async def test_repeat_after_a_failure_in_doubt_gets_that_failure_as_a_replay() -> None:
    stage, provider = scripted_stage(answer)
    event = routed(on_in_doubt="fail")
    stage.claims.observe(record(started_by_dead_worker(event, expires_at=now_ms() - 1)))
    await process(event, stage)
    repeat = dataclasses.replace(
        event, request=dataclasses.replace(event.request, received_at=event.request.received_at + 5)
    )

    settled = (await process(repeat, stage))[-1]

    assert (settled.outcome, settled.failure.code, settled.replayed) == ("failed", "in_doubt", True)
    assert not provider.calls


async def test_answer_of_another_worker_is_awaited_and_used() -> None:
    stage, provider = scripted_stage(hang)
    start, task = await waiting(stage)

    shared: dict[str, Any] = {
        name: getattr(start, name) for name in ("request", "attempt", "provider", "model", "worker", "started_at")
    }
    stage.claims.observe(record(AttemptFinished(**shared, finished_at=9, body="{}")))
    (settled,) = await task

    assert (settled.outcome, settled.output, settled.replayed) == ("answered", "{}", False)
    assert not provider.calls


async def test_request_in_doubt_fails_after_max_attempts() -> None:
    stage, provider = scripted_stage(answer)
    event = routed(max_attempts=3)
    stage.claims.observe(record(started_by_dead_worker(event, attempt=3, expires_at=now_ms() - 1)))

    (settled,) = await process(event, stage)

    assert (settled.outcome, settled.failure.code) == ("failed", "timeout")
    assert not provider.calls


async def test_request_failed_by_another_worker_is_not_called() -> None:
    stage, provider = scripted_stage(answer)
    event = routed()
    ended = settle(event, "failed", unavailable(3.0), now_ms())
    stage.claims.observe(record(ended, Topics().outcomes.name))

    (again,) = await process(event, stage)

    assert (again.outcome, again.failure.code, again.settled_at) == ("failed", "provider_unavailable", ended.settled_at)
    assert not provider.calls


async def test_client_retry_of_a_request_refused_elsewhere_is_called() -> None:
    stage, provider = scripted_stage(answer)
    name = named_request_id("default", "order-7")
    first, again = routed(request_id=name), routed(request_id=name, received_at=now_ms() + 1)
    stage.claims.observe(record(settle(first, "refused", unavailable(3.0), now_ms()), Topics().outcomes.name))

    end = (await process(again, stage))[-1]

    assert (end.outcome, end.replayed, len(provider.calls)) == ("answered", False, 1)


async def test_attempt_numbers_continue_after_a_partition_returns() -> None:
    async def lose_and_fail(_: ProviderCall) -> ProviderAnswer:
        stage.on_partition_revoked(3)
        raise ProviderError("server", "it broke")

    async def act(call: ProviderCall) -> ProviderAnswer:
        return await (answer if provider.calls[1:] else lose_and_fail)(call)

    stage, provider = scripted_stage(act)
    event = routed()

    (failed,) = await process(event, stage)
    answered_later, end = (await process(event, stage))[-2:]

    assert (failed.attempt, answered_later.attempt, end.attempts, len(provider.calls)) == (1, 2, 2, 2)
