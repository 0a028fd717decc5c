"""What is told about a fault is what its callers saw."""

from __future__ import annotations

from tests.chaos.callers import Ask, Way
from tests.chaos.recovery import Mark, recovery

STRUCK = 1000.0


def ask(sent_at: float, answered_at: float | None, status: int | None = 200, way: Way = "http") -> Ask:
    return Ask("one", way, "again", sent_at, status=status, answered_at=answered_at)


def test_the_first_answer_is_that_of_a_request_that_came_after_the_strike() -> None:
    asks = [ask(STRUCK - 1, STRUCK + 1), ask(STRUCK + 2, STRUCK + 3, 502), ask(STRUCK + 2, STRUCK + 7)]

    told = recovery(Mark("kill", STRUCK, STRUCK, STRUCK + 9), STRUCK + 60, asks)

    assert told.first_s == 7
    assert told.longest_s == 5
    assert told.stored_s == 9
    assert (told.requests, told.not_answered) == (2, 1)


def test_what_comes_after_the_next_fault_is_not_counted() -> None:
    told = recovery(Mark("kill", STRUCK, STRUCK, None), STRUCK + 5, [ask(STRUCK + 6, STRUCK + 7)])

    assert told.first_s is None
    assert told.stored_s is None
    assert told.requests == 0


def test_who_hung_up_saw_nothing() -> None:
    told = recovery(Mark("kill", STRUCK, STRUCK, None), STRUCK + 5, [ask(STRUCK + 1, None, None, "leaving")])

    assert told.requests == 0
