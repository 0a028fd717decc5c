from __future__ import annotations

import pytest

from connectors.providers.provider import ProviderCall, ProviderError
from connectors.providers.simulated.provider import Simulated, SimulatedSettings
from schemas.events.parts import Target
from streams.call.traffic import targets as targets_module
from streams.call.traffic.target import Permit
from streams.call.traffic.targets import TargetRegistry
from tests.factories import now_ms, routed
from tests.streams.call.scripted_provider import Log, answer, fail_with_500, process, stage_with_sensitive_breaker

SETTINGS = SimulatedSettings.model_validate({"max_in_flight": 1, "breaker": {"min_calls": 1}})
CALL = ProviderCall("r", "chat", "m", {"model": "m", "messages": []}, 1.0)


def make_target(model: str = "m", provider: str = "sim") -> Target:
    return Target(provider=provider, model=model, timeout_ms=1000)


def make_registry() -> TargetRegistry:
    return TargetRegistry({"sim": Simulated("sim", SETTINGS)}, {"sim": SETTINGS}, "w1", clock=lambda: 12.5)


async def test_state_change_has_target_worker_and_reason() -> None:
    registry = make_registry()
    permit = await registry.get(make_target()).acquire(1.0)
    assert isinstance(permit, Permit)

    registry.get(make_target()).release(permit, ProviderError("server", "down", http_status=500), 1.0)

    (change,) = registry.state_changes
    assert (change.provider, change.model, change.state, change.reason) == ("sim", "m", "open", "server")
    assert (change.failure_ratio, change.cooldown_ms, change.worker, change.changed_at) == (1.0, 5000, "w1", 12_500)


async def test_circuit_breakers_of_two_models_are_independent() -> None:
    registry = make_registry()
    permit = await registry.get(make_target()).acquire(1.0)
    assert isinstance(permit, Permit)
    registry.get(make_target()).release(permit, ProviderError("server", "down", http_status=500), 1.0)

    assert registry.get(make_target()).retry_after_s() > 0
    assert registry.get(make_target("other")).retry_after_s() == 0


async def test_models_of_a_provider_share_its_bulkhead() -> None:
    registry = make_registry()

    assert isinstance(await registry.get(make_target()).acquire(1.0), Permit)
    assert await registry.get(make_target("other")).acquire(0.01) is None


async def test_unconfigured_provider_raises_not_found() -> None:
    with pytest.raises(ProviderError, match="new is not configured"):
        await make_registry().get(make_target(provider="new")).provider("interactive").complete(CALL)


async def test_registry_evicts_the_least_recently_used_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(targets_module, "MAX_TARGETS", 2)
    registry = make_registry()
    first, second = registry.get(make_target("1")), registry.get(make_target("2"))

    assert registry.get(make_target("1")) is first
    registry.get(make_target("3"))

    assert registry.get(make_target("1")) is first
    assert registry.get(make_target("2")) is not second


async def test_target_with_an_open_circuit_is_skipped_without_an_attempt() -> None:
    stage, provider = stage_with_sensitive_breaker(fail_with_500)
    for _ in range(2):
        await process(routed("sim/echo", max_attempts=1), stage)
    log = Log()

    finished, settled = await process(routed("sim/echo", "spare/echo"), stage, log)

    assert len(provider.calls) == 2
    assert [event.provider for event in log.events] == ["spare"]
    assert (finished.attempt, settled.outcome, settled.provider) == (1, "answered", "spare")


async def test_request_with_only_open_circuits_fails_with_retry_after() -> None:
    stage, provider = stage_with_sensitive_breaker(fail_with_500)
    for _ in range(2):
        await process(routed(max_attempts=1), stage)

    (settled,) = await process(routed(), stage)

    assert (settled.outcome, settled.attempts, len(provider.calls)) == ("failed", 0, 2)
    assert (settled.failure.status, settled.failure.code) == (503, "provider_unavailable")
    assert 4000 < settled.failure.retry_after_ms <= 5000


async def test_circuit_that_opens_during_retries_falls_back_without_waiting() -> None:
    stage, provider = stage_with_sensitive_breaker(fail_with_500)
    log = Log()

    finished, settled = await process(routed("sim/echo", "spare/echo", max_attempts=9), stage, log)

    assert (len(provider.calls), settled.provider, finished.attempt) == (2, "spare", 3)


async def test_rate_limit_beyond_the_deadline_falls_back_to_the_next_target() -> None:
    stage, provider = stage_with_sensitive_breaker(answer, rate_limit={"requests_per_minute": 1})
    log = Log()

    ends = [(await process(routed("sim/echo", "spare/echo"), stage, log))[-1] for _ in range(2)]

    assert [end.provider for end in ends] == ["sim", "spare"]
    assert len(provider.calls) == 1
    assert [event.waited_ms for event in log.events] == [0, 0]


async def test_worker_uses_the_share_of_a_rate_limit_that_equals_its_partitions() -> None:
    stage, provider = stage_with_sensitive_breaker(answer, rate_limit={"requests_per_minute": 80})
    for partition in (0, 1):
        await stage.on_partition_assigned(partition, 0)

    ends = [(await process(routed(deadline_at=now_ms() + 400), stage))[-1].outcome for _ in range(5)]

    assert ends == ["answered"] * 4 + ["failed"]
    assert len(provider.calls) == 4
