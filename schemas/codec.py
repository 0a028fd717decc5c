"""Events to bytes and back: Avro in Confluent's framing. The only place that knows the Avro library.

A record is ``0x00``, the schema's id as four bytes, and bare Avro. Ids come with the package: 100 x event + version.
"""

from __future__ import annotations

import io
import json
import struct
from importlib.resources import files
from typing import Any

import fastavro

from schemas.events import EVENTS, Event

MAGIC = 0
_FRAME = struct.Struct(">bI")


class UndecodableError(ValueError):
    """These bytes are no event of ours. The message says why, in one sentence, without the bytes."""


def schema_id(event: type[Event]) -> int:
    """The id in front of every record of this event."""
    return 100 * event.number + event.version


def schema_file(event: type[Event], version: int) -> str:
    """The name under ``schemas/avro`` of an event's schema."""
    return f"{event.__name__}.v{version}.avsc"


def _plain(schema: Any) -> Any:  # noqa: ANN401 - a JSON tree
    """The schema without logical types: times stay the integers that they are on the wire."""
    if isinstance(schema, dict):
        return {key: _plain(value) for key, value in schema.items() if key != "logicalType"}
    if isinstance(schema, list):
        return [_plain(item) for item in schema]
    return schema


def _load(event: type[Event], version: int) -> Any:  # noqa: ANN401 - fastavro's parsed schema
    text = files("schemas").joinpath("avro", schema_file(event, version)).read_text("utf-8")
    return fastavro.parse_schema(_plain(json.loads(text)), named_schemas={})


_WRITERS: dict[int, tuple[type[Event], Any]] = {
    100 * event.number + version: (event, _load(event, version))
    for event in EVENTS
    for version in range(1, event.version + 1)
}
_CURRENT: dict[type[Event], tuple[bytes, Any]] = {
    event: (_FRAME.pack(MAGIC, schema_id(event)), _WRITERS[schema_id(event)][1]) for event in EVENTS
}


def encode(event: Event) -> bytes:
    """The record's value."""
    frame, schema = _CURRENT[type(event)]
    buffer = io.BytesIO()
    buffer.write(frame)
    fastavro.schemaless_writer(buffer, schema, event.model_dump())
    return buffer.getvalue()


def is_framed(value: bytes) -> bool:
    """Whether this is Avro in Confluent's framing; JSON text never starts with a zero byte."""
    return value[:1] == b"\x00"


def decode(value: bytes) -> Event:
    """The event in a record's value, whatever version wrote it.

    Raises:
        UndecodableError: it is not framed, its id is not ours, or its bytes do not fit the schema.

    """
    if len(value) < _FRAME.size or not is_framed(value):
        raise UndecodableError("the value is not Avro in Confluent framing (zero byte, 4-byte schema id)")
    number = _FRAME.unpack_from(value)[1]
    if number not in _WRITERS:
        raise UndecodableError(f"schema id {number} is not one of Sluice's")
    event, writer = _WRITERS[number]
    buffer = io.BytesIO(value)
    buffer.seek(_FRAME.size)
    try:
        decoded = event.model_validate(fastavro.schemaless_reader(buffer, writer, _CURRENT[event][1]))
    except Exception as error:
        raise UndecodableError(f"the bytes are not a {event.__name__} ({type(error).__name__})") from error
    if buffer.tell() != len(value):
        raise UndecodableError(f"{len(value) - buffer.tell()} bytes are left over behind {event.__name__}")
    return decoded
