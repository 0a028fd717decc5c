from __future__ import annotations

import asyncio
import dataclasses
import math
from typing import Any

import pytest

from connectors.providers.provider import ProviderAnswer, ProviderError
from connectors.providers.resilience import Budget, RateState
from connectors.providers.simulated.provider import Simulated, SimulatedSettings
from schemas.events.parts import Usage
from streams.call.traffic.bulkhead import Bulkhead
from streams.call.traffic.circuit_breaker import StateChange
from streams.call.traffic.fair_share import MAX_RETRY_AFTER_S, DynamicThreshold
from streams.call.traffic.rate_limit import RequestCost
from streams.call.traffic.target import Permit, Rejection, TargetController

ANSWER = ProviderAnswer({"choices": []}, 200, Usage())
DOWN = ProviderError("server", "down", http_status=500)


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class TargetUnderTest:
    """Target with a clock that the test sets."""

    def __init__(self, bulkhead: int = 5, **settings: Any) -> None:
        self.clock = Clock()
        self.changes: list[StateChange] = []
        settings_ = SimulatedSettings.model_validate({"breaker": {"min_calls": 2, "probes": 1}, **settings})
        self.bulkhead = Bulkhead(bulkhead)
        self.target = TargetController(
            "sim",
            Simulated("sim", settings_),
            settings_,
            bulkhead=self.bulkhead,
            on_change=self.changes.append,
            clock=self.clock,
        )

    async def acquire(self) -> Permit:
        permit = await self.target.acquire(10.0)
        assert isinstance(permit, Permit)
        return permit

    async def call(
        self, result: ProviderAnswer | ProviderError | None, duration_s: float = 0.0, timeout_s: float = 60.0
    ) -> None:
        permit = await self.acquire()
        self.clock.now_s += duration_s
        self.target.release(permit, result, timeout_s)

    @property
    def open(self) -> bool:
        return self.target.retry_after_s() > 0


async def test_failing_target_is_rejected_until_the_cool_down_is_over() -> None:
    tested = TargetUnderTest()
    await tested.call(DOWN)
    await tested.call(DOWN)

    assert await tested.target.acquire(10.0) == Rejection("capacity", 5.0)
    tested.clock.now_s = 5.0
    await tested.call(ANSWER)

    assert [change.state for change in tested.changes] == ["open", "half_open", "closed"]


@pytest.mark.parametrize("error_type", ["capacity", "server", "network", "timeout"])
async def test_fault_of_the_provider_opens_the_circuit(error_type: Any) -> None:
    tested = TargetUnderTest()

    for _ in range(2):
        await tested.call(ProviderError(error_type, "no", http_status=500))

    assert tested.open


@pytest.mark.parametrize("error_type", ["rate_limited", "quota_exhausted", "auth", "invalid_request", "not_found"])
async def test_other_errors_count_as_successes_of_the_provider(error_type: Any) -> None:
    tested = TargetUnderTest(breaker={"min_calls": 2, "failure_ratio": 0.6})
    await tested.call(ProviderError(error_type, "no", http_status=400))
    await tested.call(DOWN)

    assert not tested.open


async def test_rate_limited_opens_the_circuit_if_configured() -> None:
    tested = TargetUnderTest(breaker={"min_calls": 2, "count_rate_limited": True})

    for _ in range(2):
        await tested.call(ProviderError("rate_limited", "slower", http_status=429))

    assert tested.open


@pytest.mark.parametrize(
    ("duration_s", "timeout_s", "is_open"), [(1.0, 60.0, False), (30.0, 60.0, True), (2.0, 2.0, True)]
)
async def test_timeout_of_a_short_deadline_does_not_count(duration_s: float, timeout_s: float, is_open: bool) -> None:
    tested = TargetUnderTest(breaker={"min_calls": 2, "window_s": 100})

    for _ in range(2):
        await tested.call(ProviderError("timeout", "no answer"), duration_s, timeout_s)

    assert tested.open is is_open


async def test_cancelled_or_locally_refused_call_does_not_count() -> None:
    tested = TargetUnderTest()
    await tested.call(DOWN)

    await tested.call(None)
    await tested.call(ProviderError("invalid_request", "too large", param="input"))

    assert not tested.open


async def test_release_returns_the_bulkhead_permit() -> None:
    tested = TargetUnderTest(bulkhead=1)

    for result in (ANSWER, None, ProviderError("auth", "invalid key", http_status=401)):
        await tested.call(result)

    assert tested.bulkhead.free


async def test_acquire_returns_none_without_a_permit_in_time() -> None:
    tested = TargetUnderTest(bulkhead=1)
    await tested.acquire()

    assert await tested.target.acquire(0.01) is None
    assert await tested.target.acquire(0.0) is None


async def test_waiting_call_is_rejected_when_the_circuit_opens() -> None:
    tested = TargetUnderTest(bulkhead=2)
    permits = [await tested.acquire() for _ in range(2)]
    waiting = asyncio.create_task(tested.target.acquire(10.0))
    await asyncio.sleep(0)

    for permit in permits:
        tested.target.release(permit, DOWN, 60.0)

    assert await waiting == Rejection("capacity", 5.0)
    assert tested.bulkhead.free


async def test_acquire_waits_for_the_rate_limit_and_reports_the_wait() -> None:
    tested = TargetUnderTest(bulkhead=100, rate_limit={"requests_per_minute": 600})
    for _ in range(60):
        assert isinstance(await tested.target.acquire(0.01), Permit)
    waiting = asyncio.create_task(tested.target.acquire(60.0))
    await asyncio.sleep(0)
    assert not waiting.done()

    tested.clock.now_s = 0.1
    permit = await waiting

    assert isinstance(permit, Permit)
    assert permit.waited_s == pytest.approx(0.1)


async def test_acquire_rejects_a_wait_beyond_the_timeout_with_retry_after() -> None:
    tested = TargetUnderTest(rate_limit={"requests_per_minute": 10})
    await tested.call(ANSWER)

    rejection = await tested.target.acquire(5.0)

    assert isinstance(rejection, Rejection)
    assert rejection.reason == "rate_limited"
    assert rejection.retry_after_s == pytest.approx(6.0)


async def test_release_corrects_the_cost_and_observes_the_rate_limit_headers() -> None:
    tested = TargetUnderTest(rate_limit={"tokens_per_minute": 6000})
    permit = await tested.target.acquire(10.0, RequestCost(1, 600))
    assert isinstance(permit, Permit)
    rates = RateState(Budget(60, 0, 60.0))

    tested.target.release(permit, dataclasses.replace(ANSWER, usage=Usage(input_tokens=10), rates=rates), 60.0)

    rejection = await tested.target.acquire(0.5, RequestCost(1, 100))
    assert isinstance(rejection, Rejection)
    assert rejection.reason == "rate_limited"
    assert rejection.retry_after_s == pytest.approx(1.0)
    tested.clock.now_s = 1.0
    assert isinstance(await tested.target.acquire(0.5, RequestCost(1, 100)), Permit)


async def test_overload_lowers_the_limit_of_one_target_only() -> None:
    tested = TargetUnderTest(bulkhead=20, max_in_flight=20)
    permits = [await tested.acquire() for _ in range(10)]
    tested.clock.now_s = 1.0

    tested.target.release(permits[0], ProviderError("rate_limited", "slower", http_status=429), 60.0)
    for permit in permits[1:4]:
        tested.target.release(permit, ANSWER, 60.0)

    assert (await tested.acquire()).in_flight_limit == 7
    assert await tested.target.acquire(0.01) is None
    assert tested.bulkhead.free == 13


async def test_release_admits_a_waiting_call() -> None:
    tested = TargetUnderTest(bulkhead=1, max_in_flight=1)
    permit = await tested.acquire()
    waiting = asyncio.create_task(tested.target.acquire(10.0))
    await asyncio.sleep(0)

    tested.target.release(permit, ANSWER, 60.0)

    assert isinstance(await waiting, Permit)


async def test_load_score_is_latency_times_calls_and_infinite_while_open() -> None:
    tested = TargetUnderTest()
    await tested.call(ANSWER, duration_s=0.5)
    await tested.acquire()

    assert tested.target.load_score_s() == 1.0
    await tested.call(DOWN)
    assert tested.target.load_score_s() == math.inf


async def test_error_of_the_caller_does_not_change_the_load_score() -> None:
    tested = TargetUnderTest()
    await tested.call(ANSWER, duration_s=0.5)

    await tested.call(ProviderError("invalid_request", "no such parameter", http_status=400))

    assert tested.target.load_score_s() == 0.5


async def test_batch_lane_gets_its_share_of_the_concurrency_limit() -> None:
    settings = SimulatedSettings(max_in_flight=4)
    target = TargetController("sim", Simulated("sim", settings), settings, batch_share=0.5)

    permits = [await target.acquire(0.01, lane="batch") for _ in range(3)]

    assert [permit is not None for permit in permits] == [True, True, False]
    assert isinstance(await target.acquire(0.01), Permit)


async def test_released_batch_permit_returns_to_the_batch_share() -> None:
    settings = SimulatedSettings(max_in_flight=2)
    target = TargetController("sim", Simulated("sim", settings), settings, batch_share=0.5)

    for _ in range(3):
        permit = await target.acquire(0.01, lane="batch")
        assert isinstance(permit, Permit)
        target.release(permit, ANSWER, 60.0)


async def test_threshold_rejects_interactive_calls_of_a_stalled_provider_only() -> None:
    threshold, settings = DynamicThreshold(4, 0.5), SimulatedSettings(max_in_flight=1)
    target = TargetController("sim", Simulated("sim", settings), settings, threshold=threshold)
    assert isinstance(await target.acquire(1.0), Permit)
    threshold.in_use = 3
    waiting = asyncio.create_task(target.acquire(60.0))
    await asyncio.sleep(0)

    assert await target.acquire(60.0) == Rejection("capacity", MAX_RETRY_AFTER_S)
    assert await target.acquire(0.01, lane="batch") is None
    waiting.cancel()
