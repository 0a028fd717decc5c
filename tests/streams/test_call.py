from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, ClassVar

import orjson
import pytest

from connectors.providers.provider import Answer, Call, ProviderError, ProviderSettings
from connectors.providers.rotation import Rotation
from schemas.events import (
    AttemptFinished,
    AttemptStarted,
    AttemptWithdrawn,
    ReplyTo,
    RequestRouted,
    RequestSettled,
    Usage,
)
from schemas.headers import last
from schemas.records import Output, Record
from schemas.topics import MAX_ANSWER_BYTES
from streams.attempts import withdrawn
from streams.call import CallStage
from streams.settings import Settings
from streams.stage import DeadLetterError, LostError
from tests.making import admitted, chat, now_ms, read, record, routed
from tests.polling import eventually

SIM = {"providers": {"sim": {"kind": "simulated"}, "spare": {"kind": "simulated"}}}


class Log:
    """What the stage wanted on the log before it went on."""

    def __init__(self) -> None:
        self.outputs: list[Output] = []

    async def emit(self, output: Output) -> None:
        self.outputs.append(output)

    @property
    def events(self) -> list[Any]:
        return read(*self.outputs)


class Scripted:
    """A provider that does what the test says, once per call."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, act: Callable[[Call], Awaitable[Answer]]) -> None:
        self.act = act
        self.calls: list[Call] = []
        self.closed = False

    async def complete(self, call: Call) -> Answer:
        self.calls.append(call)
        return await self.act(call)

    async def stream(self, call: Call) -> AsyncIterator[dict[str, Any] | Answer]:
        yield await self.complete(call)

    async def close(self) -> None:
        self.closed = True


async def answer(_: Call) -> Answer:
    return Answer({"id": "1", "choices": []}, 200, Usage(input_tokens=10, output_tokens=5), "1", "m-2", ("stop",))


async def never(_: Call) -> Answer:
    await asyncio.Event().wait()
    raise AssertionError


def scripted(act: Callable[[Call], Awaitable[Answer]]) -> tuple[CallStage, Scripted]:
    provider = Scripted(act)
    settings = Settings.model_validate({**SIM, "prices": {"sim/echo": {"input_mtok": 1, "output_mtok": 2}}})
    return CallStage(settings, "w1", providers={"sim": provider}, draw=lambda: 0.0), provider


async def work(event: RequestRouted | Record, stage: CallStage | None = None, log: Log | None = None) -> Sequence[Any]:
    """The events that the stage writes in the end."""
    stage = stage or CallStage(Settings.model_validate(SIM), "w1", draw=lambda: 0.0)
    given = record(event) if isinstance(event, RequestRouted) else event
    return read(*await stage.work(given, (log or Log()).emit))


async def test_an_attempt_is_on_the_log_before_the_provider_is_called_and_after_it_with_the_answer() -> None:
    log = Log()

    async def look(call: Call) -> Answer:
        assert [type(event) for event in log.events] == [AttemptStarted]
        return await answer(call)

    stage, provider = scripted(look)
    event = routed("sim/echo", timeout_ms=4000)

    finished, settled = await work(event, stage, log)

    (started,) = log.events
    assert (started.attempt, started.provider, started.model, started.worker) == (1, "sim", "echo", "w1")
    assert started.expires_at == started.started_at + 4000
    assert isinstance(finished, AttemptFinished)
    assert orjson.loads(finished.body) == {"id": "1", "choices": []}
    assert finished.cost_usd == "0.00002"
    assert isinstance(settled, RequestSettled)
    assert (settled.outcome, settled.failure, settled.replayed) == ("answered", None, False)
    assert (settled.input, settled.output) == (event.body, finished.body)
    assert (settled.provider, settled.provider_model, settled.attempts) == ("sim", "echo", 1)
    assert (settled.response_id, settled.response_model, settled.finish_reasons) == ("1", "m-2", ("stop",))
    assert (settled.usage, settled.cost_usd) == (finished.usage, finished.cost_usd)
    assert (settled.admitted_at, settled.routed_at) == (event.admitted_at, event.routed_at)
    assert settled.called_at == started.started_at <= finished.finished_at == settled.answered_at
    assert settled.config_hash == "routed"
    assert provider.calls[0].body == orjson.loads(event.body)
    assert provider.calls[0].model == "echo"


async def test_attempts_stay_in_the_requests_partition_and_what_was_begun_ends_on_the_log_even_if_it_is_lost() -> None:
    log = Log()
    event = routed()

    finished, settled = await CallStage(Settings(), "w1").work(record(event, partition=2), log.emit)

    for output in (*log.outputs, finished):
        assert (output.topic, output.partition) == ("llm.attempts.v1", 2)
    assert [output.even_if_lost for output in (*log.outputs, finished)] == [False, True]
    assert (settled.topic, settled.partition, settled.even_if_lost) == ("llm.outcomes.v1", None, False)
    assert {output.key for output in (*log.outputs, finished, settled)} == {event.request.request_id.encode()}
    assert last(finished.headers, "ce_id") == f"{event.request.request_id}/AttemptFinished/1".encode()
    assert last(settled.headers, "traceparent") == event.request.traceparent.encode()


async def test_a_failed_attempt_is_on_the_log_before_the_next_target_is_called() -> None:
    log = Log()

    finished, settled = await work(routed("sim/fail-auth", "spare/echo"), log=log)

    first, failed, second = log.events
    assert (first.provider, failed.error_type, failed.http_status, second.provider) == ("sim", "auth", 401, "spare")
    assert (first.attempt, failed.attempt, second.attempt, finished.attempt) == (1, 1, 2, 2)
    assert (settled.outcome, settled.provider, settled.attempts) == ("answered", "spare", 2)
    assert settled.called_at == first.started_at


async def test_when_every_target_failed_the_last_error_is_the_callers() -> None:
    finished, settled = await work(routed("sim/fail-auth", "spare/fail-quota_exhausted"))

    assert finished.error_type == "quota_exhausted"
    assert (settled.outcome, settled.failure.code, settled.failure.status) == ("failed", "insufficient_quota", 429)
    assert (settled.output, settled.answered_at, settled.provider, settled.attempts) == ("", None, "spare", 2)


async def test_a_passing_failure_is_tried_again_after_a_while() -> None:
    results = iter([TimeoutError(), None])

    async def recover(call: Call) -> Answer:
        if error := next(results):
            raise error
        return await answer(call)

    stage, provider = scripted(recover)
    log = Log()

    _, settled = await work(routed(), stage, log)

    assert (settled.outcome, settled.attempts, len(provider.calls)) == ("answered", 2, 2)
    second, first = log.events[2], log.events[1]
    assert second.started_at - first.finished_at >= 249


async def test_a_call_is_cut_off_at_the_targets_timeout() -> None:
    _, settled = await work(routed("sim/hang", timeout_ms=50, max_attempts=1))

    assert (settled.outcome, settled.failure.code, settled.failure.status) == ("failed", "timeout", 504)


async def test_a_call_is_cut_off_at_the_deadline_and_the_request_expires() -> None:
    log = Log()

    finished, settled = await work(routed("sim/hang", deadline_at=now_ms() + 80), log=log)

    assert finished.error_type == "timeout"
    assert (settled.outcome, settled.failure.code, settled.attempts) == ("expired", "deadline_exceeded", 1)
    assert log.events[0].expires_at == settled.request.deadline_at


async def test_an_overdue_request_is_never_called() -> None:
    stage, provider = scripted(answer)
    log = Log()

    (settled,) = await work(routed(deadline_at=now_ms() - 1), stage, log)

    assert (settled.outcome, settled.attempts, settled.called_at) == ("expired", 0, None)
    assert not provider.calls
    assert not log.outputs


async def test_a_log_that_takes_until_the_deadline_costs_no_call() -> None:
    stage, provider = scripted(answer)

    async def slow(_: Output) -> None:
        await asyncio.sleep(0.06)

    outputs = await stage.work(record(routed(deadline_at=now_ms() + 50)), slow)

    assert read(*outputs)[-1].outcome == "expired"
    assert not provider.calls


async def test_a_redelivered_request_joins_the_running_call() -> None:
    gate = asyncio.Event()

    async def wait(call: Call) -> Answer:
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


async def test_a_redelivered_request_that_has_ended_gets_the_same_end_again() -> None:
    stage, provider = scripted(answer)
    event = routed()
    first = await work(event, stage)

    again = await work(dataclasses.replace(record(event), offset=99), stage)

    assert again == [first[-1]]
    assert len(provider.calls) == 1


@pytest.mark.parametrize("change", [{"received_at": 5}, {"reply_to": ReplyTo(topic="llm.replies.elsewhere")}])
async def test_a_repeat_by_the_caller_is_answered_as_a_replay(change: dict[str, Any]) -> None:
    stage, provider = scripted(answer)
    event = routed()
    first = (await work(event, stage))[-1]
    repeat = event.model_copy(update={"request": event.request.model_copy(update=change)})

    (settled,) = await work(repeat, stage)

    assert (settled.replayed, settled.output, settled.outcome) == (True, first.output, "answered")
    assert settled.request == repeat.request
    assert (settled.called_at, settled.answered_at) == (None, None)
    assert len(provider.calls) == 1


async def test_a_failed_end_is_remembered_too() -> None:
    stage = CallStage(Settings.model_validate(SIM), "w1")
    event = routed("sim/fail-invalid_request")
    first = await work(event, stage)

    assert await work(event, stage) == [first[-1]]


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


async def test_a_provider_has_only_as_many_calls_at_once_as_it_takes() -> None:
    running: list[int] = []

    async def count(call: Call) -> Answer:
        running.append(running[-1] + 1 if running else 1)
        await asyncio.sleep(0.001)
        running.append(running[-1] - 1)
        return await answer(call)

    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 3}}})
    stage = CallStage(settings, "w1", providers={"sim": Scripted(count)})

    await asyncio.gather(*(work(routed(), stage) for _ in range(20)))

    assert max(running) == 3


async def test_who_finds_no_room_until_its_deadline_expires_without_a_call() -> None:
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 1}}})
    provider = Scripted(never)
    stage = CallStage(settings, "w1", providers={"sim": provider})
    first = asyncio.create_task(work(routed(), stage))
    await eventually(lambda: provider.calls)

    (settled,) = await work(routed(deadline_at=now_ms() + 60), stage)

    assert (settled.outcome, settled.attempts) == ("expired", 0)
    first.cancel()
    await asyncio.wait({first})


async def test_a_fault_in_an_adapter_ends_the_request_instead_of_losing_it() -> None:
    async def broken(_: Call) -> Answer:
        raise KeyError("somebody's text")

    stage, _ = scripted(broken)

    finished, settled = await work(routed(max_attempts=1), stage)

    assert (finished.error_type, settled.outcome, settled.failure.status) == ("server", "failed", 502)
    assert "somebody" not in finished.error_message


async def test_a_provider_that_this_worker_does_not_know_is_passed_over() -> None:
    _, settled = await work(routed("new/model", "sim/echo"))

    assert (settled.outcome, settled.provider) == ("answered", "sim")


async def test_an_answer_that_no_record_could_hold_is_a_failure() -> None:
    async def long(_: Call) -> Answer:
        return Answer({"choices": ["x" * MAX_ANSWER_BYTES]}, 200, Usage())

    stage, _ = scripted(long)

    finished, settled = await work(routed("sim/echo", "spare/echo"), stage)

    assert (finished.error_type, finished.body, settled.outcome) == ("answer_too_large", "", "failed")
    assert (settled.failure.status, settled.failure.code) == (413, "answer_too_large")
    assert str(MAX_ANSWER_BYTES) in settled.failure.message


async def test_after_a_lost_partition_the_call_is_finished_but_no_other_is_started() -> None:
    async def lose(_: Call) -> Answer:
        stage.claims.revoke(3)
        raise TimeoutError

    stage, provider = scripted(lose)

    outputs = await work(routed(), stage)

    assert [type(event) for event in outputs] == [AttemptFinished]
    assert len(provider.calls) == 1


@pytest.mark.parametrize("written", [False, True])
async def test_who_loses_a_request_before_the_call_takes_back_what_the_log_says_of_it(written: bool) -> None:
    stage, provider = scripted(answer)
    log = Log()

    async def lose(output: Output) -> None:
        (event,) = read(output)
        if not isinstance(event, AttemptStarted):
            await log.emit(output)
            return
        raise LostError(written=written)

    with pytest.raises(LostError):
        await stage.work(record(routed()), lose)

    assert [(type(event), event.attempt) for event in log.events] == [(AttemptWithdrawn, 1)] * written
    assert not provider.calls


async def test_an_attempt_that_another_worker_takes_back_is_not_waited_for() -> None:
    stage, provider = scripted(answer)
    event = routed()
    start = a_start(event, expires_at=now_ms() + 20_000)
    stage.claims.observe(record(start))
    task = asyncio.create_task(work(event, stage))
    await asyncio.sleep(0)

    stage.claims.observe(record(withdrawn(start, now_ms())))
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
    event = routed()
    start = a_start(event, expires_at=now_ms() + 20_000)
    stage.claims.observe(record(start))
    task = asyncio.create_task(work(event, stage))
    await asyncio.sleep(0)

    fields = start.model_dump(exclude={"expires_at", "waited_ms", "in_flight_limit"})
    stage.claims.observe(record(AttemptFinished.model_validate({**fields, "finished_at": 9, "body": "{}"})))
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


def a_start(event: RequestRouted, expires_at: int, attempt: int = 1) -> AttemptStarted:
    return AttemptStarted(
        request=event.request,
        attempt=attempt,
        provider="sim",
        model="echo",
        worker="dead",
        started_at=expires_at - 1000,
        expires_at=expires_at,
    )


def fragile(act: Callable[[Call], Awaitable[Answer]], **more: Any) -> tuple[CallStage, Scripted]:
    """A stage whose first provider is left alone from its second failure on."""
    provider = Scripted(act)
    sim = {"kind": "simulated", "breaker": {"min_calls": 2}, **more}
    settings = Settings.model_validate({"providers": {"sim": sim, "spare": {"kind": "simulated"}}})
    return CallStage(settings, "w1", providers={"sim": provider, "spare": Scripted(answer)}, draw=lambda: 0.0), provider


async def down(_: Call) -> Answer:
    raise ProviderError("server", "down", http_status=500)


async def test_a_target_that_has_failed_too_often_is_passed_over_without_an_attempt() -> None:
    stage, provider = fragile(down)
    for _ in range(2):
        await work(routed("sim/echo", max_attempts=1), stage)
    log = Log()

    finished, settled = await work(routed("sim/echo", "spare/echo"), stage, log)

    assert len(provider.calls) == 2
    assert [event.provider for event in log.events] == ["spare"]
    assert (finished.attempt, settled.outcome, settled.provider) == (1, "answered", "spare")


async def test_if_it_is_the_only_one_the_request_fails_at_once_and_says_when_to_come_again() -> None:
    stage, provider = fragile(down)
    for _ in range(2):
        await work(routed(max_attempts=1), stage)

    (settled,) = await work(routed(), stage)

    assert (settled.outcome, settled.attempts, len(provider.calls)) == ("failed", 0, 2)
    assert (settled.failure.status, settled.failure.code) == (503, "provider_unavailable")
    assert 4000 < settled.failure.retry_after_ms <= 5000


async def test_a_target_that_closes_during_a_requests_own_retries_is_not_waited_for() -> None:
    stage, provider = fragile(down)
    log = Log()

    finished, settled = await work(routed("sim/echo", "spare/echo", max_attempts=9), stage, log)

    assert (len(provider.calls), settled.provider, finished.attempt) == (2, "spare", 3)


async def test_the_change_is_on_the_log_for_all_to_see() -> None:
    stage, _ = fragile(down)
    log = Log()

    for _ in range(2):
        await work(routed(max_attempts=1), stage, log)

    await eventually(lambda: any(output.topic == "llm.health.v1" for output in log.outputs))
    (told,) = [output for output in log.outputs if output.topic == "llm.health.v1"]
    (event,) = read(told)
    assert (told.key, told.partition, last(told.headers, "request_id")) == (b"sim/echo", None, None)
    assert (event.state, event.reason, event.failure_ratio, event.worker) == ("open", "server", 1.0, "w1")


async def test_a_topic_for_the_news_that_is_missing_delays_no_request() -> None:
    stage, _ = fragile(down)

    async def stuck(output: Output) -> None:
        if output.topic == "llm.health.v1":
            await asyncio.Event().wait()

    for _ in range(2):
        await stage.work(record(routed("sim/echo", max_attempts=1)), stuck)
    outputs = await stage.work(record(routed("sim/echo", "spare/echo")), stuck)

    assert read(*outputs)[-1].outcome == "answered"
    await stage.close()


async def test_a_rate_limit_without_room_before_the_deadline_sends_the_call_to_the_next_target() -> None:
    stage, provider = fragile(answer, rate_limit={"requests_per_minute": 1})
    log = Log()

    ends = [(await work(routed("sim/echo", "spare/echo"), stage, log))[-1] for _ in range(2)]

    assert [end.provider for end in ends] == ["sim", "spare"]
    assert len(provider.calls) == 1
    assert [event.waited_ms for event in log.events] == [0, 0]


async def test_a_worker_keeps_to_the_part_of_a_rate_limit_that_its_partitions_are() -> None:
    stage, provider = fragile(answer, rate_limit={"requests_per_minute": 80})
    for partition in (0, 1):
        await stage.prepare(partition, 0)

    ends = [(await work(routed(deadline_at=now_ms() + 400), stage))[-1].outcome for _ in range(5)]

    assert ends == ["answered"] * 4 + ["failed"]
    assert len(provider.calls) == 4


async def test_by_latency_the_target_that_answers_sooner_is_called_first() -> None:
    async def slow(call: Call) -> Answer:
        await asyncio.sleep(0.05)
        return await answer(call)

    stage, provider = fragile(slow)
    event = [routed("sim/echo", "spare/echo", policy="latency") for _ in range(4)]

    ends = [(await work(each, stage))[-1].provider for each in event]

    assert ends == ["sim", "spare", "spare", "spare"]
    assert len(provider.calls) == 1


async def test_by_latency_a_request_goes_on_after_a_crash_where_it_stood() -> None:
    stage, provider = fragile(answer)
    event = routed("spare/echo", "sim/echo", policy="latency", max_attempts=2)
    stage.claims.observe(record(a_start(event, expires_at=now_ms() - 1)))

    finished, settled = await work(event, stage)

    assert (settled.provider, finished.attempt, len(provider.calls)) == ("sim", 2, 1)


async def test_a_key_that_is_refused_is_followed_by_another_and_the_events_say_which() -> None:
    async def refuse(_: Call) -> Answer:
        raise ProviderError("auth", "who?", http_status=401)

    settings = Settings.model_validate(SIM)
    keys = Rotation([Scripted(refuse), Scripted(answer)])
    stage, log = CallStage(settings, "w1", providers={"sim": keys}), Log()

    finished, settled = await work(routed(), stage, log)

    failed = log.events[1]
    assert (failed.error_type, failed.key_index, failed.another_key) == ("auth", 0, True)
    assert (finished.key_index, finished.attempt, settled.outcome) == (1, 2, "answered")


async def test_many_calls_at_once_need_no_task_of_their_own() -> None:
    gate = asyncio.Event()

    async def wait(call: Call) -> Answer:
        await gate.wait()
        return await answer(call)

    stage, provider = scripted(wait)
    before = len(asyncio.all_tasks())
    working = [asyncio.create_task(work(routed(), stage)) for _ in range(200)]
    await eventually(lambda: len(provider.calls) == 200)

    assert len(asyncio.all_tasks()) == before + 200
    gate.set()
    assert all(events[-1].outcome == "answered" for events in await asyncio.gather(*working))


@pytest.mark.parametrize("body", ["[]", "nothing", ""])
async def test_a_body_that_is_no_json_object_is_a_dead_letter(body: str) -> None:
    with pytest.raises(DeadLetterError):
        await work(routed(body=body))


async def test_a_foreign_event_is_a_dead_letter() -> None:
    with pytest.raises(DeadLetterError, match="RequestAdmitted"):
        await work(record(admitted()))


async def test_closing_closes_the_providers() -> None:
    stage, provider = scripted(answer)

    await stage.close()

    assert provider.closed


async def in_slots(stage: CallStage, backlog: Sequence[RequestRouted], slots: int) -> list[RequestSettled]:
    """Work through a backlog as a worker does: in order, each as soon as there is a slot; the ends as they come."""
    free, ends, tasks = asyncio.Semaphore(slots), list[RequestSettled](), list[asyncio.Task[None]]()

    async def one(event: RequestRouted) -> None:
        try:
            ends.append((await work(event, stage))[-1])
        finally:
            free.release()

    async def read() -> None:
        for event in backlog:
            await free.acquire()
            tasks.append(asyncio.create_task(one(event)))

    reading = asyncio.create_task(read())
    await asyncio.wait({reading}, timeout=30.0)
    for _ in range(20):
        await asyncio.sleep(0)
    for task in (reading, *tasks):
        task.cancel()
    await asyncio.gather(reading, *tasks, return_exceptions=True)
    return ends


async def test_a_provider_that_hangs_with_a_long_backlog_keeps_nothing_from_another() -> None:
    hung, well = Scripted(never), Scripted(answer)
    settings = Settings.model_validate({**SIM, "calls_in_flight": 100, "overload": {"provider_share": 0.8}})
    stage = CallStage(settings, "w1", providers={"sim": hung, "spare": well})
    backlog = [routed("spare/m" if place % 50 == 49 else "sim/m") for place in range(5000)]

    ends = await in_slots(stage, backlog, slots=100)

    answered = [end for end in ends if end.outcome == "answered"]
    turned_away = [end for end in ends if end.outcome == "failed"]
    assert (len(answered), len(well.calls)) == (100, 100)
    assert len(hung.calls) == pytest.approx(80, abs=2)
    assert len(turned_away) == 4900 - len(hung.calls)
    assert {(end.failure.status, end.failure.code, end.attempts) for end in turned_away if end.failure} == {
        (503, "provider_unavailable", 0)
    }
    assert all(end.failure and end.failure.retry_after_ms for end in turned_away)


async def test_what_is_too_much_for_one_provider_goes_to_the_next_of_the_plan() -> None:
    hung, well = Scripted(never), Scripted(answer)
    settings = Settings.model_validate({**SIM, "calls_in_flight": 20})
    stage = CallStage(settings, "w1", providers={"sim": hung, "spare": well})

    ends = await in_slots(stage, [routed("sim/m", "spare/m") for _ in range(100)], slots=20)

    assert len(ends) == len(well.calls) == 100 - len(hung.calls)
    assert {(end.outcome, end.provider) for end in ends} == {("answered", "spare")}


async def test_with_one_provider_there_is_nobody_to_protect_and_the_rest_waits_in_kafka() -> None:
    hung = Scripted(never)
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated"}}, "calls_in_flight": 10})
    stage = CallStage(settings, "w1", providers={"sim": hung})
    working = [asyncio.create_task(work(routed(), stage)) for _ in range(10)]

    await eventually(lambda: len(hung.calls) == 10)

    for task in working:
        task.cancel()
    await asyncio.wait(working)


async def test_a_batch_takes_its_share_of_a_provider_and_interactive_calls_go_past_what_waits() -> None:
    gate, order = asyncio.Event(), list[str]()

    async def held(call: Call) -> Answer:
        order.append(call.body["user"])
        await gate.wait()
        return await answer(call)

    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated", "max_in_flight": 4}}})
    stage = CallStage(settings, "w1", providers={"sim": Scripted(held)})

    def asked(who: str) -> asyncio.Task[Sequence[Any]]:
        lane = "batch" if who == "batch" else "interactive"
        return asyncio.create_task(work(routed(body=chat(user=who), lane=lane), stage))

    tasks = [asked("batch") for _ in range(50)]
    await eventually(lambda: len(order) == 2)
    tasks += [asked("person") for _ in range(6)]
    await eventually(lambda: len(order) == 4)
    gate.set()
    await asyncio.gather(*tasks)

    assert order == ["batch"] * 2 + ["person"] * 6 + ["batch"] * 48


async def test_a_backlog_that_is_overdue_is_settled_without_a_call() -> None:
    stage, provider = scripted(answer)
    past = now_ms() - 1
    events = [routed(deadline_at=past, lane=lane) for lane in ("interactive", "batch") for _ in range(500)]

    log = Log()
    ends = [await work(event, stage, log) for event in events]

    assert {settled.outcome for (settled,) in ends} == {"expired"}
    assert (provider.calls, log.outputs) == ([], [])
