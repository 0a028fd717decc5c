from __future__ import annotations

import asyncio

import pytest

from connectors.providers.provider import ProviderCall, ProviderError
from connectors.providers.simulated.provider import Simulated, SimulatedSettings
from schemas.events.parts import Target
from schemas.kafka.headers import last_value
from schemas.kafka.records import ProducerRecord
from streams.call.traffic import targets as gates_module
from streams.call.traffic.target import Permit
from streams.call.traffic.targets import TargetRegistry
from tests.eventually import eventually
from tests.factories import now_ms, read, record, routed
from tests.streams.call.scripted_provider import Log, answer, down, fragile, work

MOOD = SimulatedSettings.model_validate({"max_in_flight": 1, "breaker": {"min_calls": 1}})
CALL = ProviderCall("r", "chat", "m", {"model": "m", "messages": []}, 1.0)


def a_target(model: str = "m", provider: str = "sim") -> Target:
    return Target(provider=provider, model=model, timeout_ms=1000)


def gates() -> TargetRegistry:
    return TargetRegistry({"sim": Simulated("sim", MOOD)}, {"sim": MOOD}, "w1", clock=lambda: 12.5)


async def test_a_change_of_state_is_news_that_names_the_target_the_worker_and_why() -> None:
    held = gates()
    turn = await held.get(a_target()).acquire(1.0)
    assert isinstance(turn, Permit)

    held.get(a_target()).release(turn, ProviderError("server", "down", http_status=500), 1.0)

    (news,) = held.state_changes
    assert (news.provider, news.model, news.state, news.reason) == ("sim", "m", "open", "server")
    assert (news.failure_ratio, news.cooldown_ms, news.worker, news.changed_at) == (1.0, 5000, "w1", 12_500)


async def test_one_model_of_a_provider_may_fail_while_another_is_called() -> None:
    held = gates()
    turn = await held.get(a_target()).acquire(1.0)
    assert isinstance(turn, Permit)
    held.get(a_target()).release(turn, ProviderError("server", "down", http_status=500), 1.0)

    assert held.get(a_target()).retry_after_s() > 0
    assert held.get(a_target("other")).retry_after_s() == 0


async def test_all_models_of_a_provider_share_its_room() -> None:
    held = gates()

    assert isinstance(await held.get(a_target()).acquire(1.0), Permit)
    assert await held.get(a_target("other")).acquire(0.01) is None


async def test_who_is_not_configured_here_says_so() -> None:
    with pytest.raises(ProviderError, match="new is not configured"):
        await gates().get(a_target(provider="new")).provider("interactive").complete(CALL)


async def test_callers_that_invent_models_fill_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gates_module, "MAX_TARGETS", 2)
    held = gates()
    first, second = held.get(a_target("1")), held.get(a_target("2"))

    assert held.get(a_target("1")) is first
    held.get(a_target("3"))

    assert held.get(a_target("1")) is first
    assert held.get(a_target("2")) is not second


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
    assert (told.key, told.partition, last_value(told.headers, "request_id")) == (b"sim/echo", None, None)
    assert (event.state, event.reason, event.failure_ratio, event.worker) == ("open", "server", 1.0, "w1")


async def test_a_topic_for_the_news_that_is_missing_delays_no_request() -> None:
    stage, _ = fragile(down)

    async def stuck(output: ProducerRecord) -> None:
        if output.topic == "llm.health.v1":
            await asyncio.Event().wait()

    for _ in range(2):
        await stage.process(record(routed("sim/echo", max_attempts=1)), stuck)
    outputs = await stage.process(record(routed("sim/echo", "spare/echo")), stuck)

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
        await stage.on_partition_assigned(partition, 0)

    ends = [(await work(routed(deadline_at=now_ms() + 400), stage))[-1].outcome for _ in range(5)]

    assert ends == ["answered"] * 4 + ["failed"]
    assert len(provider.calls) == 4
