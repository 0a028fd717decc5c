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
from tests.streams.call.scripted_provider import a_start, answer, fragile, work


def a_plan(*models: str) -> Plan:
    targets = tuple(Target(provider="p", model=model, timeout_ms=1000) for model in models)
    return Plan(alias="a", targets=targets, max_attempts=3, policy="latency")


def ordered(burdens: dict[str, float], *tried: str) -> list[str]:
    made = order_by_load(a_plan(*burdens), [("p", model) for model in tried], lambda target: burdens[target.model])
    return [target.model for target in made.targets]


def test_a_slow_answer_counts_at_once_and_a_fast_one_little_by_little() -> None:
    ewma = PeakEwma()

    ewma.on_success(0.1, 0.0)
    ewma.on_success(2.0, 0.0)
    assert ewma.load_score_s(0, 0.0) == 2.0
    ewma.on_success(0.1, DECAY_S / 10)

    assert 1.5 < ewma.load_score_s(0, DECAY_S / 10) < 2.0


def test_with_time_the_fast_answers_prevail() -> None:
    ewma = PeakEwma()
    ewma.on_success(2.0, 0.0)

    for second in range(1, 61):
        ewma.on_success(0.1, float(second))

    assert ewma.load_score_s(0, 60.0) == pytest.approx(0.1, abs=0.02)


def test_who_is_not_called_grows_cheaper_until_it_is_tried_again() -> None:
    slow, fast = PeakEwma(), PeakEwma()
    slow.on_success(5.0, 0.0)
    fast.on_success(0.5, 30.0)

    assert slow.load_score_s(0, 0.0) == 5.0
    assert slow.load_score_s(0, 30.0) < fast.load_score_s(0, 30.0)


def test_calls_under_way_make_it_dearer() -> None:
    ewma = PeakEwma()
    ewma.on_success(0.5, 0.0)

    assert ewma.load_score_s(3, 0.0) == 2.0


def test_who_is_unknown_is_tried_but_not_by_all_at_once() -> None:
    ewma = PeakEwma()

    assert ewma.load_score_s(0, 0.0) == 0
    assert ewma.load_score_s(2, 0.0) == 3 * INITIAL_SCORE_S


def test_a_failure_is_no_fast_answer() -> None:
    ewma = PeakEwma()
    ewma.on_success(0.9, 0.0)

    ewma.on_failure(0.001, 0.0)

    assert ewma.load_score_s(0, 0.0) == 1.8


@given(st.lists(st.tuples(st.floats(0, 100), st.floats(0, 60), st.booleans()), min_size=1))
def test_it_is_never_below_zero_nor_endless(samples: list[tuple[float, float, bool]]) -> None:
    ewma, now_s = PeakEwma(), 0.0

    for passed_s, latency_s, well in samples:
        now_s += passed_s
        (ewma.on_success if well else ewma.on_failure)(latency_s, now_s)

    assert 0 <= ewma.load_score_s(0, now_s) < math.inf


def test_the_soonest_comes_first_and_of_equals_the_one_that_was_written_first() -> None:
    assert ordered({"slow": 2.0, "fast": 0.1, "closed": math.inf, "fast too": 0.1}) == [
        "fast",
        "fast too",
        "slow",
        "closed",
    ]


def test_what_was_tried_stays_in_front_so_that_nobody_is_called_again_from_the_start() -> None:
    assert ordered({"slow": 2.0, "fast": 0.1, "tried": 9.0}, "tried", "tried") == ["tried", "fast", "slow"]


async def test_by_latency_the_target_that_answers_sooner_is_called_first() -> None:
    async def slow(call: ProviderCall) -> ProviderAnswer:
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
