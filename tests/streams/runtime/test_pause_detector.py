from __future__ import annotations

import asyncio

from streams.runtime.pause_detector import PAUSE_THRESHOLD_S, PauseDetector


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Group:
    """Says what is whose, once it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.answer = asyncio.Event()

    async def confirm(self) -> None:
        self.asked += 1
        await self.answer.wait()


async def test_while_the_loop_goes_round_nobody_waits_or_asks() -> None:
    clock, group = Clock(), Group()
    pulse = PauseDetector(group.confirm, clock)

    for _ in range(100):
        clock.now_s += PAUSE_THRESHOLD_S / 2
        await pulse.wait_until_confirmed()

    assert group.asked == 0


async def test_who_was_held_up_is_sure_of_nothing_until_the_group_has_said_so() -> None:
    clock, group = Clock(), Group()
    pulse = PauseDetector(group.confirm, clock)
    clock.now_s += PAUSE_THRESHOLD_S + 1

    first, second = (
        asyncio.ensure_future(pulse.wait_until_confirmed()),
        asyncio.ensure_future(pulse.wait_until_confirmed()),
    )
    await asyncio.sleep(0.01)
    waited = not first.done() and not second.done()
    group.answer.set()
    await asyncio.gather(first, second)

    assert waited
    assert group.asked == 1


async def test_the_beat_itself_notices_so_that_nobody_slips_through_after_it() -> None:
    clock, group = Clock(), Group()
    pulse = PauseDetector(group.confirm, clock)
    clock.now_s += PAUSE_THRESHOLD_S + 1
    beating = asyncio.ensure_future(pulse.run())
    await asyncio.sleep(0.01)

    waiting = asyncio.ensure_future(pulse.wait_until_confirmed())
    await asyncio.sleep(0.01)
    waited = not waiting.done()
    group.answer.set()
    await waiting
    beating.cancel()

    assert waited


async def test_it_is_asked_again_after_the_next_time() -> None:
    clock, group = Clock(), Group()
    group.answer.set()
    pulse = PauseDetector(group.confirm, clock)

    for _ in range(2):
        clock.now_s += PAUSE_THRESHOLD_S + 1
        await pulse.wait_until_confirmed()
        await pulse.wait_until_confirmed()

    assert group.asked == 2


async def test_who_gives_up_waiting_does_not_end_the_asking() -> None:
    clock, group = Clock(), Group()
    pulse = PauseDetector(group.confirm, clock)
    clock.now_s += PAUSE_THRESHOLD_S + 1
    first = asyncio.ensure_future(pulse.wait_until_confirmed())
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0.01)

    second = asyncio.ensure_future(pulse.wait_until_confirmed())
    group.answer.set()
    await second

    assert group.asked == 1
