"""Codec of events: Avro in Confluent's framing. The only module that uses the Avro library.

A record is ``0x00``, the schema id as four bytes, and plain Avro. Ids are fixed in this package: 100 x event + version.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Callable
from importlib.resources import files
from typing import Any

import fastavro
from pydantic import TypeAdapter

from schemas.avro.compiled import compile_reader, compile_writer
from schemas.events.catalog import EVENTS, Event

MAGIC = 0
_FRAME = struct.Struct(">bI")


class UndecodableError(ValueError):
    """The bytes are not an event of Sluice. The message says why in one sentence, without the bytes."""


def schema_id(event: type[Event]) -> int:
    """Return the schema id of an event's current version."""
    return 100 * event.number + event.version


def schema_file(event: type[Event], version: int) -> str:
    """Return the file name of an event's schema under ``schemas/avro``."""
    return f"{event.__name__}.v{version}.avsc"


def _without_logical_types(schema: Any) -> Any:  # noqa: ANN401 - a JSON tree
    """Return the schema without logical types, so that times are read as integers."""
    if isinstance(schema, dict):
        return {key: _without_logical_types(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_without_logical_types(item) for item in schema]
    return schema


def _schema_tree(event: type[Event], version: int) -> Any:  # noqa: ANN401 - a JSON tree
    return _without_logical_types(
        json.loads(files("schemas").joinpath("avro", schema_file(event, version)).read_text("utf-8"))
    )


def _parsed_schema(event: type[Event], version: int) -> Any:  # noqa: ANN401 - fastavro's parsed schema
    return fastavro.parse_schema(_schema_tree(event, version), named_schemas={})


_FRAMES = {event: _FRAME.pack(MAGIC, schema_id(event)) for event in EVENTS}
_EVENT_BY_FRAME: dict[bytes, tuple[type[Event], int]] = {
    _FRAME.pack(MAGIC, 100 * event.number + version): (event, version)
    for event in EVENTS
    for version in range(1, event.version + 1)
}
"""The event class and the version of each schema id, by the framing bytes of its records."""


class _Writers(dict[type[Event], Callable[[Event], bytes]]):
    """Writer of each event class, compiled when it is first used."""

    def __missing__(self, event: type[Event]) -> Callable[[Event], bytes]:
        self[event] = writer = compile_writer(_schema_tree(event, event.version))
        return writer


class _Readers(dict[tuple[type[Event], int], Callable[[bytes, int], tuple[Event, int]]]):
    """Reader of each version of an event class, made when it is first used."""

    def __missing__(self, written: tuple[type[Event], int]) -> Callable[[bytes, int], tuple[Event, int]]:
        event, version = written
        self[written] = reader = (
            compile_reader(_schema_tree(event, version)) if version == event.version else _old_reader(event, version)
        )
        return reader


_WRITERS = _Writers()
_READERS = _Readers()


def encode(event: Event) -> bytes:
    """Return the record value of an event."""
    kind = type(event)
    return _FRAMES[kind] + _WRITERS[kind](event)


def is_framed(value: bytes) -> bool:
    """Return whether the value is Avro in Confluent's framing. JSON text never starts with a zero byte."""
    return value[:1] == b"\x00"


def decode(value: bytes) -> Event:
    """Return the event in a record's value, of any version.

    Raises:
        UndecodableError: the value is not framed, its schema id is unknown, or its bytes do not fit the schema.

    """
    written = _EVENT_BY_FRAME.get(value[: _FRAME.size])
    if written is None:
        raise UndecodableError(_describe_unknown(value))
    event, _ = written
    try:
        decoded, end = _READERS[written](value, _FRAME.size)
    except Exception as error:
        raise UndecodableError(f"the bytes are not a {event.__name__} ({type(error).__name__})") from error
    if end > len(value):
        raise UndecodableError(f"the bytes end within a {event.__name__}")
    if end < len(value):
        raise UndecodableError(f"{len(value) - end} bytes follow the {event.__name__}")
    return decoded


def _describe_unknown(value: bytes) -> str:
    if len(value) < _FRAME.size or not is_framed(value):
        return "the value is not Avro in Confluent framing (zero byte, 4-byte schema id)"
    return f"schema id {_FRAME.unpack_from(value)[1]} is not one of Sluice's"


def _old_reader(event: type[Event], version: int) -> Callable[[bytes, int], tuple[Event, int]]:
    """Return a reader of an older version: fastavro resolves the two schemas, and pydantic checks the values."""
    written, current = _parsed_schema(event, version), _parsed_schema(event, event.version)
    validator = TypeAdapter(event)

    def read(value: bytes, at: int) -> tuple[Event, int]:
        buffer = io.BytesIO(value)
        buffer.seek(at)
        fields = fastavro.schemaless_reader(buffer, written, current)
        return validator.validate_python(fields), buffer.tell()

    return read
