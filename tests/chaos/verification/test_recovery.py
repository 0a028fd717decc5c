"""Tests of the recovery times, from the requests of callers."""

from __future__ import annotations

from tests.chaos.callers import CallerKind, SentRequest
from tests.chaos.verification.recovery import FaultTimes, measure_recovery

STARTED = 1000.0


def request(
    sent_at: float, answered_at: float | None, status: int | None = 200, kind: CallerKind = "http"
) -> SentRequest:
    return SentRequest("one", kind, "again", sent_at, status=status, answered_at=answered_at)


def test_first_answer_is_of_a_request_sent_after_the_fault_started() -> None:
    requests = [
        request(STARTED - 1, STARTED + 1),
        request(STARTED + 2, STARTED + 3, 502),
        request(STARTED + 2, STARTED + 7),
    ]

    measured = measure_recovery(FaultTimes("kill", STARTED, STARTED, STARTED + 9), STARTED + 60, requests)

    assert measured.first_s == 7
    assert measured.longest_s == 5
    assert measured.stored_s == 9
    assert (measured.requests, measured.not_answered) == (2, 1)


def test_requests_after_the_next_fault_are_not_counted() -> None:
    measured = measure_recovery(
        FaultTimes("kill", STARTED, STARTED, None), STARTED + 5, [request(STARTED + 6, STARTED + 7)]
    )

    assert measured.first_s is None
    assert measured.stored_s is None
    assert measured.requests == 0


def test_requests_of_callers_that_disconnect_are_not_counted() -> None:
    measured = measure_recovery(
        FaultTimes("kill", STARTED, STARTED, None), STARTED + 5, [request(STARTED + 1, None, None, "disconnecting")]
    )

    assert measured.requests == 0
