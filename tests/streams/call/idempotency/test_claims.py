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


def test_unknown_request_is_unclaimed(request_: Request) -> None:
    assert Claims().lookup(request_.request_id, NOW) == Unclaimed()


async def test_lookup_of_a_running_request_waits_for_its_end(request_: Request) -> None:
    claims = Claims()
    claims.claim(request_.request_id, 1)
    waiting = claims.lookup(request_.request_id, NOW)
    assert isinstance(waiting, InProgress)
    assert waiting.expires_at is None
    assert not waiting.done.done()

    claims.release(request_.request_id, end(request_))

    assert waiting.done.done()
    assert claims.lookup(request_.request_id, NOW) == Completed(end(request_))


async def test_request_released_without_an_end_is_unclaimed(request_: Request) -> None:
    claims = Claims()
    claims.claim(request_.request_id, 1)
    waiting = claims.lookup(request_.request_id, NOW)
    assert isinstance(waiting, InProgress)

    claims.release(request_.request_id)

    assert waiting.done.done()
    assert claims.lookup(request_.request_id, NOW) == Unclaimed()


def test_request_released_without_an_end_keeps_its_attempts(request_: Request) -> None:
    claims = Claims()
    failed = finished(request_, error_type="server")
    claims.claim(request_.request_id, 1)

    claims.release(request_.request_id, None, (failed,))

    assert claims.lookup(request_.request_id, NOW) == Unclaimed((failed,))


async def test_attempt_of_another_worker_is_in_progress_until_it_expires(request_: Request) -> None:
    claims = Claims()

    claims.observe(record(started(request_)))

    waiting = claims.lookup(request_.request_id, NOW + 4999)
    assert isinstance(waiting, InProgress)
    assert waiting.expires_at == NOW + 5000
    assert claims.lookup(request_.request_id, NOW + 5000) == InDoubt(started(request_))


async def test_answer_of_another_worker_completes_the_request(request_: Request) -> None:
    claims = Claims()
    claims.observe(record(started(request_)))
    waiting = claims.lookup(request_.request_id, NOW)
    assert isinstance(waiting, InProgress)

    claims.observe(record(finished(request_)))

    assert waiting.done.done()
    claim = claims.lookup(request_.request_id, NOW)
    assert isinstance(claim, Completed)
    assert claim.end.attempts == (finished(request_),)


def test_failures_of_another_worker_are_kept_as_attempts(request_: Request) -> None:
    claims = Claims()
    failed = finished(request_, error_type="server")

    for event in (started(request_), failed):
        claims.observe(record(event))

    assert claims.lookup(request_.request_id, NOW) == Unclaimed((failed,))


async def test_observed_record_does_not_change_a_running_request(request_: Request) -> None:
    claims = Claims()
    claims.claim(request_.request_id, 1)

    claims.observe(record(started(request_)))
    claims.observe(record(finished(request_)))

    claim = claims.lookup(request_.request_id, NOW)
    assert isinstance(claim, InProgress)
    assert claim.expires_at is None


def test_revoke_forgets_open_requests_and_keeps_ends(request_: Request) -> None:
    claims = Claims()
    ended = make_request()
    claims.observe(record(started(request_), partition=1))
    claims.claim(ended.request_id, 1)
    claims.release(ended.request_id, end(ended))

    claims.revoke(1)

    assert claims.lookup(request_.request_id, NOW) == Unclaimed()
    assert isinstance(claims.lookup(ended.request_id, NOW), Completed)


def test_running_request_of_a_revoked_partition_is_revoked(request_: Request) -> None:
    claims = Claims()
    other = make_request()
    claims.claim(request_.request_id, 1)
    claims.claim(other.request_id, 2)

    claims.revoke(1)

    assert claims.is_revoked(request_.request_id)
    assert not claims.is_revoked(other.request_id)


def test_oldest_ends_are_evicted_at_max_bytes() -> None:
    requests = [make_request() for _ in range(10)]
    size = STATE_OVERHEAD_BYTES + end(requests[0], "x" * 1000).size
    claims = Claims(max_bytes=3 * size)

    for request in requests:
        claims.claim(request.request_id, 1)
        claims.release(request.request_id, end(request, "x" * 1000))

    kept = [isinstance(claims.lookup(request.request_id, NOW), Completed) for request in requests]
    assert kept == [False] * 7 + [True] * 3


def test_end_is_evicted_after_its_ttl(request_: Request) -> None:
    clock = [0.0]
    claims = Claims(ttl_s=60, clock=lambda: clock[0])
    claims.claim(request_.request_id, 1)
    claims.release(request_.request_id, end(request_))
    clock[0] = 61.0

    claims.observe(record(started(make_request())))

    assert claims.lookup(request_.request_id, NOW) == Unclaimed()


async def test_running_request_is_never_evicted(request_: Request) -> None:
    claims = Claims(max_bytes=1, ttl_s=0)
    claims.claim(request_.request_id, 1)

    claims.observe(record(started(make_request())))

    assert isinstance(claims.lookup(request_.request_id, NOW), InProgress)


def test_evicting_everything_returns_the_byte_count_to_zero() -> None:
    claims = Claims(max_bytes=0)

    for _ in range(5):
        request = make_request()
        claims.observe(record(started(request)))
        claims.observe(record(finished(request)))

    assert claims._bytes == 0
    assert not claims._idle


def test_observe_raises_for_an_undecodable_record() -> None:
    with pytest.raises(UndecodableError):
        Claims().observe(ConsumerRecord("llm.attempts.v1", 0, 0, 0, None, b"?", ()))


def test_observing_records_again_adds_no_attempt_twice(request_: Request) -> None:
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
