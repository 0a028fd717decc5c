from __future__ import annotations

import asyncio

from streams.runtime.pause_detector import PAUSE_THRESHOLD_S, PauseDetector


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Group:
    """Group that confirms the partitions when a test allows it."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    async def confirm(self) -> None:
        self.asked += 1
        await self.answer.wait()


async def test_running_loop_needs_no_confirmation() -> None:
    clock, group = Clock(), Group()
    detector = PauseDetector(group.confirm, clock)

    for _ in range(100):
        clock.now_s += PAUSE_THRESHOLD_S / 2
        await detector.wait_until_confirmed()

    assert group.asked == 0


async def test_paused_process_waits_for_the_confirmation() -> None:
    clock, group = Clock(), Group()
    detector = PauseDetector(group.confirm, clock)
    clock.now_s += PAUSE_THRESHOLD_S + 1

    first, second = (
        asyncio.ensure_future(detector.wait_until_confirmed()),
        asyncio.ensure_future(detector.wait_until_confirmed()),
    )
    await asyncio.sleep(0.01)
    waited = not first.done() and not second.done()
    group.answer.set()
    await asyncio.gather(first, second)

    assert waited
    assert group.asked == 1


async def test_periodic_check_detects_a_pause_before_a_caller_does() -> None:
    clock, group = Clock(), Group()
    detector = PauseDetector(group.confirm, clock)
    clock.now_s += PAUSE_THRESHOLD_S + 1
    beating = asyncio.ensure_future(detector.run())
    await asyncio.sleep(0.01)

    waiting = asyncio.ensure_future(detector.wait_until_confirmed())
    await asyncio.sleep(0.01)
    waited = not waiting.done()
    group.answer.set()
    await waiting
    beating.cancel()

    assert waited


async def test_second_pause_is_confirmed_again() -> None:
    clock, group = Clock(), Group()
    group.answer.set()
    detector = PauseDetector(group.confirm, clock)

    for _ in range(2):
        clock.now_s += PAUSE_THRESHOLD_S + 1
        await detector.wait_until_confirmed()
        await detector.wait_until_confirmed()

    assert group.asked == 2


async def test_cancelled_waiter_does_not_cancel_the_confirmation() -> None:
    clock, group = Clock(), Group()
    detector = PauseDetector(group.confirm, clock)
    clock.now_s += PAUSE_THRESHOLD_S + 1
    first = asyncio.ensure_future(detector.wait_until_confirmed())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)

    second = asyncio.ensure_future(detector.wait_until_confirmed())
    group.answer.set()
    await second

    assert group.asked == 1
