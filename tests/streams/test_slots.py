from __future__ import annotations

import math

import pytest

from streams.slots import MOST_RETRY_S, QUICK_S, Slots


def filled(slots: Slots, holders: int) -> list[int]:
    """How many each of so many stalled providers holds in the end, when all ask for ever more in turn."""
    held = [0] * holders
    grown = True
    while grown:
        grown = False
        for place in range(holders):
            if slots.retry_after_s(held[place], math.inf) is None and slots.taken < 1000:
                held[place] += 1
                slots.taken += 1
                grown = True
    return held


def test_one_that_stalls_gets_its_share_and_no_more() -> None:
    (held,) = filled(Slots(1000, 0.8), 1)

    assert held == pytest.approx(800, abs=2)


@pytest.mark.parametrize("holders", [2, 5, 20])
def test_however_many_stall_something_is_left_and_nobody_has_more_than_others(holders: int) -> None:
    slots = Slots(1000, 0.8)

    held = filled(slots, holders)

    assert slots.taken < 1000
    assert max(held) - min(held) <= 1


def test_without_a_bound_one_may_have_all() -> None:
    assert filled(Slots(1000, 1.0), 1) == [1000]


def test_who_is_quick_may_hold_more() -> None:
    slots = Slots(10, 0.5)
    slots.taken = 8

    assert slots.retry_after_s(8, QUICK_S) is None
    assert slots.retry_after_s(8, 12.0) == 12.0
    assert slots.retry_after_s(8, math.inf) == MOST_RETRY_S


def test_who_is_done_is_counted_no_more() -> None:
    slots = Slots(10, 0.5)

    with slots.one():
        assert slots.taken == 1

    assert slots.taken == 0
