from __future__ import annotations

import asyncio
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.provider import ProviderAnswer, ProviderCall
from schemas.events.parts import Plan, Target
from streams.call.traffic.load_balancing import DECAY_S, INITIAL_SCORE_S, PeakEwma, order_by_load
from tests.factories import now_ms, record, routed
from tests.streams.call.scripted_provider import answer, process, stage_with_sensitive_breaker, started_by_dead_worker


def make_plan(*models: str) -> Plan:
    targets = tuple(Target(provider="p", model=model, timeout_ms=1000) for model in models)
    return Plan(alias="a", targets=targets, max_attempts=3, policy="latency")


def ordered(scores: dict[str, float], *tried: str) -> list[str]:
    plan = order_by_load(make_plan(*scores), [("p", model) for model in tried], lambda target: scores[target.model])
    return [target.model for target in plan.targets]


def test_slow_answer_counts_in_full_and_a_fast_one_gradually() -> None:
    ewma = PeakEwma()

    ewma.on_success(0.1, 0.0)
    ewma.on_success(2.0, 0.0)
    assert ewma.load_score_s(0, 0.0) == 2.0
    ewma.on_success(0.1, DECAY_S / 10)

    assert 1.5 < ewma.load_score_s(0, DECAY_S / 10) < 2.0


def test_score_converges_to_the_latency_of_fast_answers() -> None:
    ewma = PeakEwma()
    ewma.on_success(2.0, 0.0)

    for second in range(1, 61):
        ewma.on_success(0.1, float(second))

    assert ewma.load_score_s(0, 60.0) == pytest.approx(0.1, abs=0.02)


def test_score_of_an_idle_target_decays() -> None:
    slow, fast = PeakEwma(), PeakEwma()
    slow.on_success(5.0, 0.0)
    fast.on_success(0.5, 30.0)

    assert slow.load_score_s(0, 0.0) == 5.0
    assert slow.load_score_s(0, 30.0) < fast.load_score_s(0, 30.0)


def test_score_grows_with_calls_in_flight() -> None:
    ewma = PeakEwma()
    ewma.on_success(0.5, 0.0)

    assert ewma.load_score_s(3, 0.0) == 2.0


def test_target_without_answers_has_score_zero_only_while_idle() -> None:
    ewma = PeakEwma()

    assert ewma.load_score_s(0, 0.0) == 0
    assert ewma.load_score_s(2, 0.0) == 3 * INITIAL_SCORE_S


def test_failure_raises_the_score() -> None:
    ewma = PeakEwma()
    ewma.on_success(0.9, 0.0)

    ewma.on_failure(0.001, 0.0)

    assert ewma.load_score_s(0, 0.0) == 1.8


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60), st.booleans()), min_size=1))
def test_score_is_finite_and_not_negative(samples: list[tuple[float, float, bool]]) -> None:
    ewma, now_s = PeakEwma(), 0.0

    for elapsed_s, latency_s, is_answer in samples:
        now_s += elapsed_s
        (ewma.on_success if is_answer else ewma.on_failure)(latency_s, now_s)

    assert 0 <= ewma.load_score_s(0, now_s) < math.inf


def test_order_by_load_is_stable_for_equal_scores() -> None:
    assert ordered({"slow": 2.0, "fast": 0.1, "closed": math.inf, "fast too": 0.1}) == [
        "fast",
        "fast too",
        "slow",
        "closed",
    ]


def test_order_by_load_keeps_tried_targets_in_front() -> None:
    assert ordered({"slow": 2.0, "fast": 0.1, "tried": 9.0}, "tried", "tried") == ["tried", "fast", "slow"]


async def test_policy_latency_calls_the_faster_target_first() -> None:
    async def slow(call: ProviderCall) -> ProviderAnswer:
        await asyncio.sleep(0.05)
        return await answer(call)

    stage, provider = stage_with_sensitive_breaker(slow)
    event = [routed("sim/echo", "spare/echo", policy="latency") for _ in range(4)]

    ends = [(await process(each, stage))[-1].provider for each in event]

    assert ends == ["sim", "spare", "spare", "spare"]
    assert len(provider.calls) == 1


async def test_policy_latency_resumes_a_request_after_a_crash() -> None:
    stage, provider = stage_with_sensitive_breaker(answer)
    event = routed("spare/echo", "sim/echo", policy="latency", max_attempts=2)
    stage.claims.observe(record(started_by_dead_worker(event, expires_at=now_ms() - 1)))

    finished, settled = await process(event, stage)

    assert (settled.provider, finished.attempt, len(provider.calls)) == ("sim", 2, 1)
