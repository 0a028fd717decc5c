from __future__ import annotations

import dataclasses
import io
import json
import struct
import time
from pathlib import Path
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from schemas.avro import codec
from schemas.avro.compiled import compile_reader, compile_writer
from schemas.events.catalog import EVENTS, Event, RequestAdmitted
from tests.schemas.avro.strategies import instances_of

AVRO = Path(codec.__file__).parent


def tree(event: type[Event]) -> Any:
    return codec._without_logical_types(json.loads((AVRO / codec.schema_file(event, event.version)).read_text("utf-8")))


def by_fastavro(schema: Any, event: Event) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema, named_schemas={}), dataclasses.asdict(event))
    return buffer.getvalue()


@pytest.mark.parametrize("event", EVENTS)
def test_what_is_written_is_what_fastavro_would_write(event: type[Event]) -> None:
    schema = tree(event)
    write = compile_writer(schema)

    @given(instances_of(event))
    def same(written: Event) -> None:
        assert write(written) == by_fastavro(schema, written)

    same()


@pytest.mark.parametrize("event", EVENTS)
def test_what_fastavro_wrote_is_read(event: type[Event]) -> None:
    schema = tree(event)
    read = compile_reader(schema)

    @given(instances_of(event), st.binary(max_size=4))
    def same(written: Event, before: bytes) -> None:
        data = by_fastavro(schema, written)

        found, end = read(before + data + b"more", len(before))

        assert found == written
        assert dataclasses.asdict(found) == dataclasses.asdict(written)
        assert end == len(before) + len(data)

    same()


@pytest.mark.parametrize("event", EVENTS)
def test_a_cut_anywhere_is_an_error_or_ends_behind_the_bytes(event: type[Event]) -> None:
    schema = tree(event)
    read = compile_reader(schema)

    @given(instances_of(event), st.data())
    def noticed(written: Event, data: st.DataObject) -> None:
        whole = by_fastavro(schema, written)
        cut = whole[: data.draw(st.integers(0, len(whole) - 1))]

        try:
            _, end = read(cut, 0)
        except (IndexError, ValueError, struct.error):
            return

        assert end > len(cut)

    noticed()


def test_blocks_that_say_their_size_are_read_too() -> None:
    schema = tree(RequestAdmitted)
    event = TypeAdapter(RequestAdmitted).validate_python(
        {
            "request": {
                "request_id": "r",
                "tenant": "t",
                "operation": "chat",
                "source": "http",
                "received_at": 1,
                "deadline_at": 2,
            },
            "model": "m",
            "body": "{}",
            "labels": {"team": "a"},
            "admitted_at": 3,
            "config_hash": "c",
        }
    )
    plain = compile_writer(schema)(event)
    labels = b"\x08team\x02a"
    sized = plain.replace(b"\x02" + labels, b"\x01" + bytes([2 * len(labels)]) + labels)

    found, end = compile_reader(schema)(sized, 0)

    assert sized != plain
    assert (found, end) == (event, len(sized))
    with pytest.raises(ValueError, match="size differs from its header"):
        compile_reader(schema)(plain.replace(b"\x02" + labels, b"\x01" + bytes([2 * len(labels) + 2]) + labels), 0)


@pytest.mark.parametrize("data", [b"\x82\x00", b"\x82\x80\x00", b"\x82\x80\x80\x80\x80\x00", b"\xff" * 9 + b"\x00"])
def test_a_number_that_is_written_longer_than_it_is_is_none(data: bytes) -> None:
    schema = {"type": "record", "name": "Usage", "fields": [{"name": "input_tokens", "type": "long"}]}

    with pytest.raises(ValueError, match="more bytes than it needs"):
        compile_reader(schema)(data, 0)


def test_a_number_of_more_than_64_bits_is_none() -> None:
    schema = {"type": "record", "name": "Usage", "fields": [{"name": "input_tokens", "type": "long"}]}

    with pytest.raises(ValueError, match="64 bits"):
        compile_reader(schema)(b"\xff" * 10 + b"\x01", 0)


@pytest.mark.parametrize("byte", [b"\xff", b"\x80"])
def test_a_number_of_megabytes_is_refused_without_reading_it(byte: bytes) -> None:
    schema = {"type": "record", "name": "Usage", "fields": [{"name": "input_tokens", "type": "long"}]}
    data = byte * 8_000_000 + b"\x01"

    began = time.process_time()
    with pytest.raises(ValueError, match="64 bits"):
        compile_reader(schema)(data, 0)

    assert time.process_time() - began < 1  # with all of it, 200 KB took 5 s, and four times as long for twice as much
