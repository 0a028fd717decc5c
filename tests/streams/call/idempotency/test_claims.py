from __future__ import annotations

from typing import Any

import pytest

from schemas.avro.codec import UndecodableError
from schemas.events.catalog import AttemptFinished, AttemptStarted
from schemas.events.parts import Request
from schemas.kafka.records import ConsumerRecord
from streams.call.attempts import RequestEnd
from streams.call.idempotency.claims import STATE_OVERHEAD_BYTES, Claims, Completed, InDoubt, InProgress, Unclaimed
from tests.factories import make_request, record

NOW = 1_000_000


def started(request: Request, **changes: Any) -> AttemptStarted:
    fields: dict[str, Any] = {
        "request": request,
        "attempt": 1,
        "provider": "sim",
        "model": "echo",
        "worker": "other",
        "started_at": NOW,
        "expires_at": NOW + 5000,
    }
    return AttemptStarted(**{**fields, **changes})


def finished(request: Request, **changes: Any) -> AttemptFinished:
    fields: dict[str, Any] = {
        "request": request,
        "attempt": 1,
        "provider": "sim",
        "model": "echo",
        "worker": "other",
        "started_at": NOW,
        "finished_at": NOW + 10,
        "body": "{}",
    }
    return AttemptFinished(**{**fields, **changes})


def end(request: Request, body: str = "{}") -> RequestEnd:
    return RequestEnd(request, "answered", None, (finished(request, body=body),), NOW)


@pytest.fixture
def request_() -> Request:
    return make_request()


def test_an_unknown_request_is_fresh(request_: Request) -> None:
    assert Claims().lookup(request_.request_id, NOW) == Unclaimed()


async def test_who_comes_while_it_runs_waits_and_then_finds_the_end(request_: Request) -> None:
    claims = Claims()
    claims.claim(request_.request_id, 1)
    waiting = claims.lookup(request_.request_id, NOW)
    assert isinstance(waiting, InProgress)
    assert waiting.expires_at is None
    assert not waiting.done.done()

    claims.release(request_.request_id, end(request_))

    assert waiting.done.done()
    assert claims.lookup(request_.request_id, NOW) == Completed(end(request_))


async def test_who_waited_for_a_run_that_broke_off_finds_it_fresh(request_: Request) -> None:
    claims = Claims()
    claims.claim(request_.request_id, 1)
    waiting = claims.lookup(request_.request_id, NOW)
    assert isinstance(waiting, InProgress)

    claims.release(request_.request_id)

    assert waiting.done.done()
    assert claims.lookup(request_.request_id, NOW) == Unclaimed()


def test_a_run_that_broke_off_is_gone_on_with_after_its_attempts(request_: Request) -> None:
    claims = Claims()
    failed = finished(request_, error_type="server")
    claims.claim(request_.request_id, 1)

    claims.release(request_.request_id, None, (failed,))

    assert claims.lookup(request_.request_id, NOW) == Unclaimed((failed,))


async def test_an_attempt_of_another_worker_is_waited_for_until_its_time_is_over(request_: Request) -> None:
    claims = Claims()

    claims.observe(record(started(request_)))

    waiting = claims.lookup(request_.request_id, NOW + 4999)
    assert isinstance(waiting, InProgress)
    assert waiting.expires_at == NOW + 5000
    assert claims.lookup(request_.request_id, NOW + 5000) == InDoubt(started(request_))


async def test_an_answer_that_another_worker_logged_is_the_end(request_: Request) -> None:
    claims = Claims()
    claims.observe(record(started(request_)))
    waiting = claims.lookup(request_.request_id, NOW)
    assert isinstance(waiting, InProgress)

    claims.observe(record(finished(request_)))

    assert waiting.done.done()
    claim = claims.lookup(request_.request_id, NOW)
    assert isinstance(claim, Completed)
    assert claim.end.attempts == (finished(request_),)


def test_failures_that_another_worker_logged_are_not_repeated(request_: Request) -> None:
    claims = Claims()
    failed = finished(request_, error_type="server")

    for event in (started(request_), failed):
        claims.observe(record(event))

    assert claims.lookup(request_.request_id, NOW) == Unclaimed((failed,))


async def test_what_runs_here_is_known_better_than_by_the_log(request_: Request) -> None:
    claims = Claims()
    claims.claim(request_.request_id, 1)

    claims.observe(record(started(request_)))
    claims.observe(record(finished(request_)))

    claim = claims.lookup(request_.request_id, NOW)
    assert isinstance(claim, InProgress)
    assert claim.expires_at is None


def test_a_lost_partition_is_forgotten_but_its_ends(request_: Request) -> None:
    claims = Claims()
    ended = make_request()
    claims.observe(record(started(request_), partition=1))
    claims.claim(ended.request_id, 1)
    claims.release(ended.request_id, end(ended))

    claims.revoke(1)

    assert claims.lookup(request_.request_id, NOW) == Unclaimed()
    assert isinstance(claims.lookup(ended.request_id, NOW), Completed)


def test_what_runs_on_a_lost_partition_is_told_so(request_: Request) -> None:
    claims = Claims()
    other = make_request()
    claims.claim(request_.request_id, 1)
    claims.claim(other.request_id, 2)

    claims.revoke(1)

    assert claims.is_revoked(request_.request_id)
    assert not claims.is_revoked(other.request_id)


def test_the_oldest_ends_are_forgotten_first_when_there_are_too_many_bytes() -> None:
    requests = [make_request() for _ in range(10)]
    size = STATE_OVERHEAD_BYTES + end(requests[0], "x" * 1000).size
    claims = Claims(max_bytes=3 * size)

    for request in requests:
        claims.claim(request.request_id, 1)
        claims.release(request.request_id, end(request, "x" * 1000))

    kept = [isinstance(claims.lookup(request.request_id, NOW), Completed) for request in requests]
    assert kept == [False] * 7 + [True] * 3


def test_an_end_is_forgotten_when_its_time_is_over(request_: Request) -> None:
    clock = [0.0]
    claims = Claims(ttl_s=60, clock=lambda: clock[0])
    claims.claim(request_.request_id, 1)
    claims.release(request_.request_id, end(request_))
    clock[0] = 61.0

    claims.observe(record(started(make_request())))

    assert claims.lookup(request_.request_id, NOW) == Unclaimed()


async def test_what_runs_is_never_forgotten(request_: Request) -> None:
    claims = Claims(max_bytes=1, ttl_s=0)
    claims.claim(request_.request_id, 1)

    claims.observe(record(started(make_request())))

    assert isinstance(claims.lookup(request_.request_id, NOW), InProgress)


def test_memory_is_counted_back_to_nothing() -> None:
    claims = Claims(max_bytes=0)

    for _ in range(5):
        request = make_request()
        claims.observe(record(started(request)))
        claims.observe(record(finished(request)))

    assert claims._bytes == 0
    assert not claims._idle


def test_what_is_no_event_is_said_to_be_none() -> None:
    with pytest.raises(UndecodableError):
        Claims().observe(ConsumerRecord("llm.attempts.v1", 0, 0, 0, None, b"?", ()))


def test_a_log_that_is_read_again_from_further_back_adds_what_was_before_and_nothing_twice(request_: Request) -> None:
    claims = Claims()
    first = finished(request_, error_type="server", body="")
    second = finished(request_, attempt=2, error_type="server", body="")
    events = [started(request_), first, started(request_, attempt=2), second, started(request_, attempt=3)]

    for event in events[3:] + events:
        claims.observe(record(event))

    claim = claims.lookup(request_.request_id, NOW + 9000)
    assert isinstance(claim, InDoubt)
    assert claim.attempts == (first, second)
    assert claim.started.attempt == 3
