from __future__ import annotations

import dataclasses
import io
import json
import struct
from pathlib import Path

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.avro import codec
from schemas.avro.codec import UndecodableError, decode, encode, is_framed, schema_id
from schemas.events.catalog import EVENTS, AttemptStarted, Event, FeedbackGiven
from tests.schemas.avro.strategies import instances_of

AVRO = Path(codec.__file__).parent
FEEDBACK = FeedbackGiven(request_id="r", tenant="t", label="good", score=0.5, given_at=1)


@pytest.mark.parametrize("event", EVENTS)
def test_decode_returns_the_encoded_event(event: type[Event]) -> None:
    @given(instances_of(event))
    def check_round_trip(original: Event) -> None:
        assert decode(encode(original)) == original

    check_round_trip()


@pytest.mark.parametrize("event", EVENTS)
def test_decode_of_random_bytes_raises_only_undecodable_error(event: type[Event]) -> None:
    @given(st.binary(max_size=200))
    def check_error(payload: bytes) -> None:
        try:
            decode(struct.pack(">bI", 0, schema_id(event)) + payload)
        except UndecodableError:
            return

    check_error()


def test_frame_is_a_zero_byte_and_the_schema_id() -> None:
    value = encode(FEEDBACK)

    assert value[:5] == b"\x00" + (100 * 7 + 1).to_bytes(4, "big")


def test_json_text_is_not_framed() -> None:
    assert is_framed(encode(FEEDBACK))
    assert not is_framed(b'{"model": "m"}')
    assert not is_framed(b"")


@pytest.mark.parametrize("value", [b"", b"\x00", b"\x00\x00\x00\x00", b'{"a": 1}', b"\x01" + encode(FEEDBACK)[1:]])
def test_bytes_without_a_frame_are_undecodable(value: bytes) -> None:
    with pytest.raises(UndecodableError, match="not Avro in Confluent framing"):
        decode(value)


def test_error_of_an_unknown_schema_id_contains_the_id() -> None:
    with pytest.raises(UndecodableError, match=r"^schema id 999999 is not one of Sluice's$"):
        decode(struct.pack(">bI", 0, 999_999) + encode(FEEDBACK)[5:])


def test_error_of_trailing_bytes_contains_their_count() -> None:
    with pytest.raises(UndecodableError, match=r"^3 bytes follow the FeedbackGiven$"):
        decode(encode(FEEDBACK) + b"abc")


def test_truncated_record_is_undecodable() -> None:
    with pytest.raises(UndecodableError, match=r"^the bytes (are not|end within) a FeedbackGiven"):
        decode(encode(FEEDBACK)[:-1])


def test_undecodable_error_does_not_contain_the_record() -> None:
    secret = FeedbackGiven(request_id="r", tenant="t", comment="my-secret", given_at=1)

    with pytest.raises(UndecodableError) as raised:
        decode(encode(secret)[:-1])

    assert "my-secret" not in str(raised.value)


def test_unknown_value_of_a_literal_field_is_undecodable() -> None:
    value = encode(TypeAdapter(AttemptStarted).validate_python(STARTED))

    with pytest.raises(UndecodableError, match="not a AttemptStarted"):
        decode(value.replace(b"\x08chat", b"\x08chut"))


STARTED = {
    "request": {
        "request_id": "r",
        "tenant": "t",
        "operation": "chat",
        "source": "http",
        "received_at": 1,
        "deadline_at": 2,
    },
    "attempt": 1,
    "provider": "p",
    "model": "m",
    "worker": "w",
    "started_at": 1,
    "expires_at": 2,
}


def test_record_of_an_older_version_has_defaults_for_new_fields(monkeypatch: pytest.MonkeyPatch) -> None:
    older = json.loads((AVRO / "FeedbackGiven.v1.avsc").read_text("utf-8"))
    older["fields"] = [field for field in older["fields"] if field["name"] != "score"]
    parsed = fastavro.parse_schema(codec._without_logical_types(older), named_schemas={})
    load = codec._parsed_schema

    def parsed_schema(event: type[Event], version: int) -> object:
        return parsed if version == 99 else load(event, version)

    monkeypatch.setattr(codec, "_parsed_schema", parsed_schema)
    monkeypatch.setitem(codec._EVENT_BY_FRAME, struct.pack(">bI", 0, 799), (FeedbackGiven, 99))
    fields = dataclasses.asdict(FEEDBACK)
    del fields["score"]
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, parsed, fields)

    event = decode(struct.pack(">bI", 0, 799) + buffer.getvalue())

    assert event == dataclasses.replace(FEEDBACK, score=None)
