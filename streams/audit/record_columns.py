"""Columns from a record's position and headers, without its value."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from schemas.kafka import headers as wire
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.stages import STAGES
from streams.audit.tables import Columns

_SOURCES: dict[bytes | None, str] = {f"/sluice/{stage}".encode(): stage for stage in (*STAGES, "ingress")}
"""Stage of each ``ce_source`` that a stage writes.

`sluice up` and `sluice topics` write ``/sluice/up``, which is not a stage: the column ``stage`` is empty then.
"""
_INT, _LONG = struct.Struct(">i"), struct.Struct(">q")


def position_columns(records: Sequence[ConsumerRecord]) -> Columns:
    """Return position, size and Kafka timestamp of records. The position is the event id."""
    return {
        "event_time": [record.timestamp_ms for record in records],
        "event_id": [_id(record) for record in records],
        "bytes": [len(record.value or b"") for record in records],
        "kafka_topic": [record.topic for record in records],
        "kafka_partition": [record.partition for record in records],
        "kafka_offset": [record.offset for record in records],
    }


def _id(record: ConsumerRecord) -> str:
    return record.position


def source_columns(records: Sequence[ConsumerRecord], stage: object) -> Columns:
    """Return event id and stage from the CloudEvents headers; without them, the position and this stage."""
    identities = [_event_identity(record) for record in records]
    return {
        "event_id": [
            event_id.decode("utf-8", "replace") if event_id else _id(record)
            for record, (event_id, _) in zip(records, identities, strict=True)
        ],
        "stage": [_SOURCES.get(source, stage) for _, source in identities],
    }


def _event_identity(record: ConsumerRecord) -> tuple[bytes | None, bytes | None]:
    """Return ``ce_id`` and ``ce_source``; the last value of a repeated header counts."""
    event_id = source = None
    for name, value in record.headers:
        if name == "ce_id":
            event_id = value
        elif name == "ce_source":
            source = value
    return event_id, source


def text(record: ConsumerRecord, header: str) -> str:
    """Return the last value of a header; empty if it is missing. Invalid UTF-8 is replaced."""
    for name, value in reversed(record.headers):
        if name == header:
            return (value or b"").decode(errors="replace")
    return ""


def _number(record: ConsumerRecord, header: str, layout: struct.Struct, default: int) -> int:
    value = wire.last_value(record.headers, header)
    return int(layout.unpack(value)[0]) if value is not None and len(value) == layout.size else default


def original_record(record: ConsumerRecord, topic: str) -> ConsumerRecord:
    """Return the original record of a dead letter, as far as its headers say."""
    return ConsumerRecord(
        topic,
        _number(record, "kafka_dlt-original-partition", _INT, record.partition),
        _number(record, "kafka_dlt-original-offset", _LONG, record.offset),
        _number(record, "kafka_dlt-original-timestamp", _LONG, record.timestamp_ms),
        record.key,
        record.value,
        record.headers,
    )
