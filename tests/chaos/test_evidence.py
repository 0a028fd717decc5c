"""What is read off the log about attempts, in the log's order."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.avro.codec import encode
from schemas.events.catalog import AttemptFinished, AttemptStarted
from schemas.events.parts import Usage
from schemas.kafka.records import ConsumerRecord
from tests.chaos.evidence import Attempt, OnTheLog, take
from tests.factories import make_request

REQUEST = make_request()
EXPIRES = 10_000


def started(number: int, worker: str, at: int) -> AttemptStarted:
    fields: dict[str, Any] = {"provider": "double", "model": "again", "waited_ms": 0, "in_flight_limit": 1}
    return AttemptStarted(
        request=REQUEST, attempt=number, worker=worker, started_at=at, expires_at=at + EXPIRES, **fields
    )


def finished(number: int, worker: str, at: int) -> AttemptFinished:
    return AttemptFinished(
        request=REQUEST,
        attempt=number,
        provider="double",
        model="again",
        worker=worker,
        started_at=at,
        finished_at=at + 1,
        usage=Usage(),
    )


def read(*events: AttemptStarted | AttemptFinished) -> dict[tuple[int, str], Attempt]:
    log = OnTheLog()
    for offset, event in enumerate(events):
        take(log, ConsumerRecord("llm.attempts.v1", 0, offset, 0, None, encode(event), ()))
    return log.attempts[REQUEST.request_id]


def test_a_worker_that_was_paused_leaves_its_attempt_in_doubt_though_its_end_comes_in_the_end() -> None:
    attempts = read(started(1, "a", 0), started(2, "b", EXPIRES), finished(1, "a", 0), finished(2, "b", EXPIRES))

    assert attempts[1, "a"].in_doubt
    assert not attempts[2, "b"].in_doubt


@pytest.mark.parametrize(
    "events",
    [
        [started(1, "a", 0), finished(1, "a", 0), started(2, "b", EXPIRES)],  # its end was there to be read
        [started(1, "a", 0), started(2, "b", EXPIRES - 1), finished(1, "a", 0)],  # its time was not over
    ],
)
def test_who_begins_another_without_a_reason_has_no_excuse(events: list[AttemptStarted | AttemptFinished]) -> None:
    assert not read(*events)[1, "a"].in_doubt


def test_an_attempt_without_an_end_is_in_doubt() -> None:
    assert read(started(1, "a", 0))[1, "a"].in_doubt
