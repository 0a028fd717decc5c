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


def encode_received(request: Request) -> bytes:
    return encode(RequestReceived(request=request, body=b"{}"))


def encode_started(request: Request) -> bytes:
    fields: dict[str, Any] = {
        "attempt": 1,
        "provider": "sim",
        "model": "echo",
        "worker": "w",
        "waited_ms": 0,
        "in_flight_limit": 0,
    }
    return encode(AttemptStarted(request=request, started_at=1, expires_at=2, **fields))


def decode_request(value: bytes) -> Request:
    event = decode(value)
    assert isinstance(event, RequestReceived | AttemptStarted)
    return event.request


def test_events_of_one_request_share_its_object() -> None:
    first, second = decode_request(encode_received(REQUEST)), decode_request(encode_started(REQUEST))

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
def test_different_request_with_the_same_id_is_decoded_unchanged(change: dict[str, Any]) -> None:
    other = dataclasses.replace(REQUEST, **change)

    for each in (REQUEST, other, REQUEST):
        assert decode_request(encode_received(each)) == each


def test_truncated_record_does_not_change_the_intern_table() -> None:
    request = make_request()
    value = encode_received(request)

    for end in range(len(value)):
        with pytest.raises(UndecodableError):
            decode(value[:end])

    assert decode_request(value) == request


def test_changed_copy_of_a_request_is_encoded_with_its_own_fields() -> None:
    copy = dataclasses.replace(REQUEST, tenant="another")

    assert encode_received(copy) != encode_received(REQUEST)
    assert decode_request(encode_received(copy)).tenant == "another"


def test_full_table_is_cleared_before_the_next_entry() -> None:
    table = InternTable[str](KEY, max_entries=2)

    for number in range(3):
        table.add(b"%d" % number + b" " * KEY, f"part {number}")

    assert [part for _, part in table.by_key.values()] == ["part 2"]
    assert len(table.by_id) == 1


def test_part_above_the_size_limit_is_not_interned() -> None:
    table = InternTable[str](KEY)

    table.add(b" " * (MAX_ENTRY_BYTES + 1), "part")

    assert not table.by_key
    assert not table.by_id
