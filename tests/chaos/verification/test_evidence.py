"""Tests of the attempts that are read from the log."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.avro.codec import encode
from schemas.events.catalog import AttemptFinished, AttemptStarted
from schemas.events.parts import Usage
from schemas.kafka.records import ConsumerRecord
from tests.chaos.verification.evidence import Attempt, LogContents, add_event
from tests.factories import make_request

REQUEST = make_request()
EXPIRES = 10_000


def started(number: int, worker: str, at: int) -> AttemptStarted:
    fields: dict[str, Any] = {"provider": "mock", "model": "again", "waited_ms": 0, "in_flight_limit": 1}
    return AttemptStarted(
        request=REQUEST, attempt=number, worker=worker, started_at=at, expires_at=at + EXPIRES, **fields
    )


def finished(number: int, worker: str, at: int) -> AttemptFinished:
    return AttemptFinished(
        request=REQUEST,
        attempt=number,
        provider="mock",
        model="again",
        worker=worker,
        started_at=at,
        finished_at=at + 1,
        usage=Usage(),
    )


def read(*events: AttemptStarted | AttemptFinished) -> dict[tuple[int, str], Attempt]:
    log = LogContents()
    for offset, event in enumerate(events):
        add_event(log, ConsumerRecord("llm.attempts.v1", 0, offset, 0, None, encode(event), ()))
    return log.attempts[REQUEST.request_id]


def test_attempt_of_a_paused_worker_is_in_doubt_even_if_its_result_is_written_later() -> None:
    attempts = read(started(1, "a", 0), started(2, "b", EXPIRES), finished(1, "a", 0), finished(2, "b", EXPIRES))

    assert attempts[1, "a"].in_doubt
    assert not attempts[2, "b"].in_doubt


@pytest.mark.parametrize(
    "events",
    [
        [started(1, "a", 0), finished(1, "a", 0), started(2, "b", EXPIRES)],  # its result was on the log
        [started(1, "a", 0), started(2, "b", EXPIRES - 1), finished(1, "a", 0)],  # it had not expired
    ],
)
def test_attempt_is_not_in_doubt_if_the_next_one_starts_after_its_result_or_before_its_expiry(
    events: list[AttemptStarted | AttemptFinished],
) -> None:
    assert not read(*events)[1, "a"].in_doubt


def test_attempt_without_a_result_is_in_doubt() -> None:
    assert read(started(1, "a", 0))[1, "a"].in_doubt
