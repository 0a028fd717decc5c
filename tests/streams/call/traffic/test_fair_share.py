from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import pytest

from schemas.events.catalog import RequestRouted, RequestSettled
from streams.app import call_config
from streams.call.stage import CallStage
from streams.call.traffic.fair_share import FAST_DRAIN_S, MAX_RETRY_AFTER_S, DynamicThreshold
from streams.config.settings import Settings
from tests.eventually import eventually
from tests.factories import routed
from tests.streams.call.scripted_provider import SIM, ScriptedProvider, answer, never, work


def filled(slots: DynamicThreshold, holders: int) -> list[int]:
    """How many each of so many stalled providers holds in the end, when all ask for ever more in turn."""
    held = [0] * holders
    grown = True
    while grown:
        grown = False
        for place in range(holders):
            if slots.retry_after_s(held[place], math.inf) is None and slots.in_use < 1000:
                held[place] += 1
                slots.in_use += 1
                grown = True
    return held


def test_one_that_stalls_gets_its_share_and_no_more() -> None:
    (held,) = filled(DynamicThreshold(1000, 0.8), 1)

    assert held == pytest.approx(800, abs=2)


@pytest.mark.parametrize("holders", [2, 5, 20])
def test_however_many_stall_something_is_left_and_nobody_has_more_than_others(holders: int) -> None:
    slots = DynamicThreshold(1000, 0.8)

    held = filled(slots, holders)

    assert slots.in_use < 1000
    assert max(held) - min(held) <= 1


def test_without_a_bound_one_may_have_all() -> None:
    assert filled(DynamicThreshold(1000, 1.0), 1) == [1000]


def test_who_is_quick_may_hold_more() -> None:
    slots = DynamicThreshold(10, 0.5)
    slots.in_use = 8

    assert slots.retry_after_s(8, FAST_DRAIN_S) is None
    assert slots.retry_after_s(8, 12.0) == 12.0
    assert slots.retry_after_s(8, math.inf) == MAX_RETRY_AFTER_S


def test_who_is_done_is_counted_no_more() -> None:
    slots = DynamicThreshold(10, 0.5)

    with slots.track():
        assert slots.in_use == 1

    assert slots.in_use == 0


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
    hung, well = ScriptedProvider(never), ScriptedProvider(answer)
    settings = Settings.model_validate({**SIM, "calls_in_flight": 100, "overload": {"provider_share": 0.8}})
    stage = CallStage(call_config(settings), "w1", providers={"sim": hung, "spare": well})
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
    hung, well = ScriptedProvider(never), ScriptedProvider(answer)
    settings = Settings.model_validate({**SIM, "calls_in_flight": 20})
    stage = CallStage(call_config(settings), "w1", providers={"sim": hung, "spare": well})

    ends = await in_slots(stage, [routed("sim/m", "spare/m") for _ in range(100)], slots=20)

    assert len(ends) == len(well.calls) == 100 - len(hung.calls)
    assert {(end.outcome, end.provider) for end in ends} == {("answered", "spare")}


async def test_with_one_provider_there_is_nobody_to_protect_and_the_rest_waits_in_kafka() -> None:
    hung = ScriptedProvider(never)
    settings = Settings.model_validate({"providers": {"sim": {"kind": "simulated"}}, "calls_in_flight": 10})
    stage = CallStage(call_config(settings), "w1", providers={"sim": hung})
    working = [asyncio.create_task(work(routed(), stage)) for _ in range(10)]

    await eventually(lambda: len(hung.calls) == 10)

    for task in working:
        task.cancel()
    await asyncio.wait(working)
