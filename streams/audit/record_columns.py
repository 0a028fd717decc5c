"""What records say without their values, as columns: where they are on the log, and what their headers tell."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from schemas.kafka import headers as wire
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.stages import STAGES
from streams.audit.tables import Columns

_SOURCES: dict[bytes | None, str] = {f"/sluice/{stage}".encode(): stage for stage in (*STAGES, "ingress")}
"""What our own events say in ``ce_source``: see ``schemas.kafka.headers.cloudevent``."""
_INT, _LONG = struct.Struct(">i"), struct.Struct(">q")


def position_columns(records: Sequence[ConsumerRecord]) -> Columns:
    """Where records are, which is who they are."""
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
    """What the headers of events of ours say about them: their own ids, and who wrote them, else this stage."""
    said = [_event_identity(record) for record in records]
    return {
        "event_id": [
            event_id.decode("utf-8", "replace") if event_id else _id(record)
            for record, (event_id, _) in zip(records, said, strict=True)
        ],
        "stage": [_SOURCES.get(source, stage) for _, source in said],
    }


def _event_identity(record: ConsumerRecord) -> tuple[bytes | None, bytes | None]:
    """An event's id and source in its headers, of two of a name the last."""
    event_id = source = None
    for name, value in record.headers:
        if name == "ce_id":
            event_id = value
        elif name == "ce_source":
            source = value
    return event_id, source


def text(record: ConsumerRecord, header: str) -> str:
    """The last header of this name; empty if there is none. What is no UTF-8 is replaced."""
    for name, value in reversed(record.headers):
        if name == header:
            return (value or b"").decode(errors="replace")
    return ""


def _number(record: ConsumerRecord, header: str, layout: struct.Struct, otherwise: int) -> int:
    value = wire.last_value(record.headers, header)
    return int(layout.unpack(value)[0]) if value is not None and len(value) == layout.size else otherwise


def original_record(record: ConsumerRecord, topic: str) -> ConsumerRecord:
    """The record that a dead letter was, as far as its headers tell."""
    return ConsumerRecord(
        topic,
        _number(record, "kafka_dlt-original-partition", _INT, record.partition),
        _number(record, "kafka_dlt-original-offset", _LONG, record.offset),
        _number(record, "kafka_dlt-original-timestamp", _LONG, record.timestamp_ms),
        record.key,
        record.value,
        record.headers,
    )
