from __future__ import annotations

import asyncio
import time

import pytest

from streams.runtime import batch_throttle as courtesy
from streams.runtime.batch_throttle import BatchThrottle
from tests.eventually import eventually

HELD_UP_S = 0.05


async def rested_s(courteous: BatchThrottle, busy_s: float) -> float:
    """How long it rests after a slice, when the loop is held up for so long."""
    began_s = time.monotonic()
    courteous.pause()
    courteous.measure_lag()
    await asyncio.sleep(0)
    time.sleep(busy_s)  # noqa: ASYNC251 - as a stage that thinks, or another process that has the processor
    await eventually(lambda: not courteous.is_pausing)
    return time.monotonic() - began_s - busy_s


async def test_on_an_idle_machine_it_goes_on_at_once_and_says_so() -> None:
    woken = asyncio.Event()
    courteous = BatchThrottle(woken.set)
    courteous.interactive_seen()

    courteous.pause()
    rests = courteous.is_pausing
    courteous.measure_lag()

    await asyncio.wait_for(woken.wait(), 0.5)
    assert rests
    assert not courteous.is_pausing


async def test_on_a_busy_one_it_rests_many_times_as_long_as_the_loop_was_held_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(courtesy, "PAUSE_FACTOR", 6.0)
    courteous = BatchThrottle(lambda: None)
    courteous.interactive_seen()

    assert await rested_s(courteous, HELD_UP_S) > 5 * HELD_UP_S


async def test_it_rests_no_longer_than_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "PAUSE_FACTOR", 1000.0)
    monkeypatch.setattr(courtesy, "MAX_PAUSE_S", 0.1)
    courteous = BatchThrottle(lambda: None)
    courteous.interactive_seen()

    assert await rested_s(courteous, HELD_UP_S) < 1.0


async def test_what_a_slice_takes_itself_is_no_sign_of_a_busy_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "PAUSE_FACTOR", 1000.0)
    monkeypatch.setattr(courtesy, "MAX_PAUSE_S", 60.0)
    monkeypatch.setattr(courtesy, "TOLERATED_LAG_S", 0.02)
    courteous = BatchThrottle(lambda: None)
    courteous.interactive_seen()

    courteous.pause()
    time.sleep(HELD_UP_S)  # noqa: ASYNC251 - the slice's own thinking
    asyncio.get_running_loop().call_soon(time.sleep, HELD_UP_S)  # and what it has set going
    courteous.measure_lag()

    await eventually(lambda: not courteous.is_pausing, within=5)


@pytest.mark.parametrize("met", ["nobody", "somebody, long ago"])
async def test_when_nobody_waits_it_does_not_rest(monkeypatch: pytest.MonkeyPatch, met: str) -> None:
    monkeypatch.setattr(courtesy, "PAUSE_FACTOR", 1000.0)
    monkeypatch.setattr(courtesy, "MAX_PAUSE_S", 60.0)
    monkeypatch.setattr(courtesy, "INTERACTIVE_WINDOW_S", 0.02)
    courteous = BatchThrottle(lambda: None)
    if met != "nobody":
        courteous.interactive_seen()

    assert await rested_s(courteous, HELD_UP_S) < 1.0
