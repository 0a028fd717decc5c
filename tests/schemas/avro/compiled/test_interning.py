from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from schemas.avro.codec import UndecodableError, decode, encode
from schemas.avro.compiled.interning import MAX_ENTRY_BYTES, InternTable
from schemas.events.catalog import AttemptStarted, RequestReceived
from schemas.events.parts import Request
from tests.factories import make_request

REQUEST = make_request()
KEY = 37


def received(request: Request) -> bytes:
    return encode(RequestReceived(request=request, body=b"{}"))


def started(request: Request) -> bytes:
    told: dict[str, Any] = {
        "attempt": 1,
        "provider": "sim",
        "model": "echo",
        "worker": "w",
        "waited_ms": 0,
        "in_flight_limit": 0,
    }
    return encode(AttemptStarted(request=request, started_at=1, expires_at=2, **told))


def request_in(value: bytes) -> Request:
    event = decode(value)
    assert isinstance(event, RequestReceived | AttemptStarted)
    return event.request


def test_a_request_is_read_once_for_all_its_events() -> None:
    first, second = request_in(received(REQUEST)), request_in(started(REQUEST))

    assert first == REQUEST
    assert second is first


@pytest.mark.parametrize(
    "change",
    [
        {"tenant": "tluafed"},
        {"tenant": "default-2"},
        {"deadline_at": REQUEST.deadline_at + 1},
        {"lane": "batch"},
    ],
)
def test_another_under_the_same_id_is_another(change: dict[str, Any]) -> None:
    other = dataclasses.replace(REQUEST, **change)

    for asked in (REQUEST, other, REQUEST):
        assert request_in(received(asked)) == asked


def test_what_was_read_from_bytes_that_ended_too_early_is_not_kept() -> None:
    request = make_request()
    value = received(request)

    for end in range(len(value)):
        with pytest.raises(UndecodableError):
            decode(value[:end])

    assert request_in(value) == request


def test_a_copy_is_written_as_what_it_is() -> None:
    copy = dataclasses.replace(REQUEST, tenant="another")

    assert received(copy) != received(REQUEST)
    assert request_in(received(copy)).tenant == "another"


def test_too_many_are_forgotten_together_and_read_again() -> None:
    known = InternTable[str](KEY, max_entries=2)

    for number in range(3):
        known.add(b"%d" % number + b" " * KEY, f"part {number}")

    assert [part for _, part in known.by_key.values()] == ["part 2"]
    assert len(known.by_id) == 1


def test_a_large_part_is_not_kept() -> None:
    known = InternTable[str](KEY)

    known.add(b" " * (MAX_ENTRY_BYTES + 1), "part")

    assert not known.by_key
    assert not known.by_id
