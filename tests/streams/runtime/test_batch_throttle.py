from __future__ import annotations

import asyncio
import time

import pytest

from streams.runtime import batch_throttle
from streams.runtime.batch_throttle import BatchThrottle
from tests.eventually import eventually

BLOCKED_S = 0.05


async def pause_s(throttle: BatchThrottle, busy_s: float) -> float:
    """Return the length of the pause after a slice, if the loop is blocked for this long."""
    began_s = time.monotonic()
    throttle.pause()
    throttle.measure_lag()
    await asyncio.sleep(0)
    time.sleep(busy_s)  # noqa: ASYNC251 - as a busy stage or another process blocks the loop
    await eventually(lambda: not throttle.is_pausing)
    return time.monotonic() - began_s - busy_s


async def test_throttle_without_lag_resumes_at_once() -> None:
    woken = asyncio.Event()
    throttle = BatchThrottle(woken.set)
    throttle.interactive_seen()

    throttle.pause()
    rests = throttle.is_pausing
    throttle.measure_lag()

    await asyncio.wait_for(woken.wait(), 0.5)
    assert rests
    assert not throttle.is_pausing


async def test_throttle_pauses_many_times_as_long_as_the_lag(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_throttle, "PAUSE_FACTOR", 6.0)
    throttle = BatchThrottle(lambda: None)
    throttle.interactive_seen()

    assert await pause_s(throttle, BLOCKED_S) > 5 * BLOCKED_S


async def test_throttle_pauses_no_longer_than_the_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_throttle, "PAUSE_FACTOR", 1000.0)
    monkeypatch.setattr(batch_throttle, "MAX_PAUSE_S", 0.1)
    throttle = BatchThrottle(lambda: None)
    throttle.interactive_seen()

    assert await pause_s(throttle, BLOCKED_S) < 1.0


async def test_throttle_ignores_the_time_that_the_slice_itself_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_throttle, "PAUSE_FACTOR", 1000.0)
    monkeypatch.setattr(batch_throttle, "MAX_PAUSE_S", 60.0)
    monkeypatch.setattr(batch_throttle, "TOLERATED_LAG_S", 0.02)
    throttle = BatchThrottle(lambda: None)
    throttle.interactive_seen()

    throttle.pause()
    time.sleep(BLOCKED_S)  # noqa: ASYNC251 - the slice's own work
    asyncio.get_running_loop().call_soon(time.sleep, BLOCKED_S)  # and the callbacks that it scheduled
    throttle.measure_lag()

    await eventually(lambda: not throttle.is_pausing, within=5)


@pytest.mark.parametrize("seen", ["none", "long ago"])
async def test_no_pause_without_recent_interactive_records(monkeypatch: pytest.MonkeyPatch, seen: str) -> None:
    monkeypatch.setattr(batch_throttle, "PAUSE_FACTOR", 1000.0)
    monkeypatch.setattr(batch_throttle, "MAX_PAUSE_S", 60.0)
    monkeypatch.setattr(batch_throttle, "INTERACTIVE_WINDOW_S", 0.02)
    throttle = BatchThrottle(lambda: None)
    if seen != "none":
        throttle.interactive_seen()

    assert await pause_s(throttle, BLOCKED_S) < 1.0
