from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from schemas.events.catalog import RequestRouted, RequestSettled
from schemas.kafka.topics import HOUR
from streams.call.stage import CallStage
from streams.call.traffic.fair_share import FAST_DRAIN_S, MAX_RETRY_AFTER_S, DynamicThreshold
from streams.composition import call_config
from streams.config.settings import Settings
from tests.eventually import eventually
from tests.factories import now_ms, routed
from tests.streams.call.scripted_provider import SIM, ScriptedProvider, answer, hang, process


def filled(threshold: DynamicThreshold, holders: int) -> list[int]:
    """Return the requests that each stalled provider holds when all request more one after the other."""
    held = [0] * holders
    grown = True
    while grown:
        grown = False
        for index in range(holders):
            if threshold.retry_after_s(held[index], math.inf) is None and threshold.in_use < 1000:
                held[index] += 1
                threshold.in_use += 1
                grown = True
    return held


def test_stalled_provider_holds_at_most_its_share() -> None:
    (held,) = filled(DynamicThreshold(1000, 0.8), 1)

    assert held == pytest.approx(800, abs=2)


@pytest.mark.parametrize("holders", [2, 5, 20])
def test_several_stalled_providers_hold_equal_shares_and_leave_capacity(holders: int) -> None:
    threshold = DynamicThreshold(1000, 0.8)

    held = filled(threshold, holders)

    assert threshold.in_use < 1000
    assert max(held) - min(held) <= 1


def test_share_of_one_disables_the_threshold() -> None:
    assert filled(DynamicThreshold(1000, 1.0), 1) == [1000]


def test_provider_that_drains_fast_is_exempt() -> None:
    threshold = DynamicThreshold(10, 0.5)
    threshold.in_use = 8

    assert threshold.retry_after_s(8, FAST_DRAIN_S) is None
    assert threshold.retry_after_s(8, 12.0) == 12.0
    assert threshold.retry_after_s(8, math.inf) == MAX_RETRY_AFTER_S


def test_track_counts_a_request_until_it_ends() -> None:
    threshold = DynamicThreshold(10, 0.5)

    with threshold.track():
        assert threshold.in_use == 1

    assert threshold.in_use == 0


async def process_backlog(stage: CallStage, backlog: Sequence[RequestRouted], in_flight: int) -> list[RequestSettled]:
    """Process a backlog as a worker does, with a limited number of requests at once; return the ends."""
    free, ends, tasks = asyncio.Semaphore(in_flight), list[RequestSettled](), list[asyncio.Task[None]]()

    async def one(event: RequestRouted) -> None:
        try:
            ends.append((await process(event, stage))[-1])
        finally:
            free.release()

    async def read() -> None:
        for event in backlog:
            await free.acquire()
            tasks.append(asyncio.create_task(one(event)))

    reader = asyncio.create_task(read())
    await asyncio.wait({reader}, timeout=120.0)
    for _ in range(20):
        await asyncio.sleep(0)
    for task in (reader, *tasks):
        task.cancel()
    await asyncio.gather(reader, *tasks, return_exceptions=True)
    return ends


async def test_backlog_of_a_hanging_provider_does_not_block_another_provider() -> None:
    hung, healthy = ScriptedProvider(hang), ScriptedProvider(answer)
    settings = Settings.model_validate({**SIM, "calls_in_flight": 100, "overload": {"provider_share": 0.8}})
    now = now_ms()
    stage = CallStage(call_config(settings), "w1", providers={"sim": hung, "spare": healthy}, clock=lambda: now / 1000)
    backlog = [
        routed("spare/m" if index % 50 == 49 else "sim/m", timeout_ms=HOUR, deadline_at=now + HOUR)
        for index in range(5000)
    ]

    ends = await process_backlog(stage, backlog, in_flight=100)

    answered = [end for end in ends if end.outcome == "answered"]
    rejected = [end for end in ends if end.outcome == "failed"]
    assert (len(answered), len(healthy.calls)) == (100, 100)
    assert len(hung.calls) == pytest.approx(80, abs=2)
    assert len(rejected) == 4900 - len(hung.calls)
    assert {(end.failure.status, end.failure.code, end.attempts) for end in rejected if end.failure} == {
        (503, "provider_unavailable", 0)
    }
    assert all(end.failure and end.failure.retry_after_ms for end in rejected)


async def test_request_above_the_threshold_falls_back_to_the_next_target() -> None:
    hung, healthy = ScriptedProvider(hang), ScriptedProvider(answer)
    settings = Settings.model_validate({**SIM, "calls_in_flight": 20})
    stage = CallStage(call_config(settings), "w1", providers={"sim": hung, "spare": healthy})

    ends = await process_backlog(stage, [routed("sim/m", "spare/m") for _ in range(100)], in_flight=20)

    assert len(ends) == len(healthy.calls) == 100 - len(hung.calls)
    assert {(end.outcome, end.provider) for end in ends} == {("answered", "spare")}


async def test_single_provider_has_no_threshold() -> None:
    hung = ScriptedProvider(hang)
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated"}}, "calls_in_flight": 10})
    stage = CallStage(call_config(settings), "w1", providers={"sim": hung})
    tasks = [asyncio.create_task(process(routed(), stage)) for _ in range(10)]

    await eventually(lambda: len(hung.calls) == 10)

    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
