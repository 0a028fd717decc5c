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


def load_schema(event: type[Event]) -> Any:
    return codec._without_logical_types(json.loads((AVRO / codec.schema_file(event, event.version)).read_text("utf-8")))


def encode_with_fastavro(schema: Any, event: Event) -> bytes:
    buffer = io.BytesIO()
    fastavro.schemaless_writer(buffer, fastavro.parse_schema(schema, named_schemas={}), dataclasses.asdict(event))
    return buffer.getvalue()


@pytest.mark.parametrize("event", EVENTS)
def test_compiled_writer_writes_the_same_bytes_as_fastavro(event: type[Event]) -> None:
    schema = load_schema(event)
    write = compile_writer(schema)

    @given(instances_of(event))
    def check(original: Event) -> None:
        assert write(original) == encode_with_fastavro(schema, original)

    check()


@pytest.mark.parametrize("event", EVENTS)
def test_compiled_reader_reads_what_fastavro_wrote(event: type[Event]) -> None:
    schema = load_schema(event)
    read = compile_reader(schema)

    @given(instances_of(event), st.binary(max_size=4))
    def check(original: Event, prefix: bytes) -> None:
        data = encode_with_fastavro(schema, original)

        decoded, end = read(prefix + data + b"more", len(prefix))

        assert decoded == original
        assert dataclasses.asdict(decoded) == dataclasses.asdict(original)
        assert end == len(prefix) + len(data)

    check()


@pytest.mark.parametrize("event", EVENTS)
def test_truncated_record_is_an_error_or_ends_after_the_buffer(event: type[Event]) -> None:
    schema = load_schema(event)
    read = compile_reader(schema)

    @given(instances_of(event), st.data())
    def check(original: Event, data: st.DataObject) -> None:
        encoded = encode_with_fastavro(schema, original)
        truncated = encoded[: data.draw(st.integers(0, len(encoded) - 1))]

        try:
            _, end = read(truncated, 0)
        except (IndexError, ValueError, struct.error):
            return

        assert end > len(truncated)

    check()


def test_map_block_with_its_size_is_read_and_the_size_checked() -> None:
    schema = load_schema(RequestAdmitted)
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
    unsized = compile_writer(schema)(event)
    labels = b"\x08team\x02a"
    sized = unsized.replace(b"\x02" + labels, b"\x01" + bytes([2 * len(labels)]) + labels)

    decoded, end = compile_reader(schema)(sized, 0)

    assert sized != unsized
    assert (decoded, end) == (event, len(sized))
    with pytest.raises(ValueError, match="size differs from its header"):
        compile_reader(schema)(unsized.replace(b"\x02" + labels, b"\x01" + bytes([2 * len(labels) + 2]) + labels), 0)


@pytest.mark.parametrize("data", [b"\x82\x00", b"\x82\x80\x00", b"\x82\x80\x80\x80\x80\x00", b"\xff" * 9 + b"\x00"])
def test_number_with_redundant_bytes_is_refused(data: bytes) -> None:
    schema = {"type": "record", "name": "Usage", "fields": [{"name": "input_tokens", "type": "long"}]}

    with pytest.raises(ValueError, match="more bytes than it needs"):
        compile_reader(schema)(data, 0)


def test_number_of_more_than_64_bits_is_refused() -> None:
    schema = {"type": "record", "name": "Usage", "fields": [{"name": "input_tokens", "type": "long"}]}

    with pytest.raises(ValueError, match="64 bits"):
        compile_reader(schema)(b"\xff" * 10 + b"\x01", 0)


@pytest.mark.parametrize("byte", [b"\xff", b"\x80"])
def test_number_of_8_megabytes_is_refused_within_1_s(byte: bytes) -> None:
    schema = {"type": "record", "name": "Usage", "fields": [{"name": "input_tokens", "type": "long"}]}
    data = byte * 8_000_000 + b"\x01"

    started_s = time.process_time()
    with pytest.raises(ValueError, match="64 bits"):
        compile_reader(schema)(data, 0)

    assert time.process_time() - started_s < 1  # reading all bytes took 5 s for 200 KB, in quadratic time
