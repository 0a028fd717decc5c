"""Dead letters: the unchanged record, with headers that describe the error."""

from __future__ import annotations

import dataclasses

from connectors.kafka.clients.producer import MAX_RECORD_BYTES
from schemas.kafka.headers import dead_letter_headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord

OMITTED_SIZE = "sluice-left-out"
"""Header of a dead letter without its record, which is too large to be written again. Its value is the size."""
DEAD_LETTER_OVERHEAD_BYTES = 64 * 1024
"""Room for the headers that a dead letter has in addition to its record."""
_HEADER_OVERHEAD_BYTES = 16
"""Encoding overhead of one header, at most."""


def dead_letter_record(record: ConsumerRecord, *, stage: str, group: str, error: str, reason: str) -> ProducerRecord:
    """Address a record to its topic's dead-letter topic, to the same partition, as Spring does.

    A record may be larger than our producers may write, because brokers limit its compressed size. Its dead letter then
    has the headers only, and the record stays at its original position.

    Args:
        record: as it was read.
        stage: the stage that failed on it.
        group: the stage's consumer group.
        error: class of the error.
        reason: one sentence, without the record's content.

    """
    record = _fit_to_limit(record)
    headers = dead_letter_headers(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp_ms,
        record.headers,
        stage=stage,
        group=group,
        error=error,
        reason=reason,
    )
    return ProducerRecord(f"{record.topic}-dlt", record.key, record.value, headers, record.partition)


def _fit_to_limit(record: ConsumerRecord) -> ConsumerRecord:
    """Return the record as our producers can write it: without key, value and headers if it is too large."""
    size = len(record.key or b"") + len(record.value or b"")
    size += sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD_BYTES for name, value in record.headers)
    if size > MAX_RECORD_BYTES - DEAD_LETTER_OVERHEAD_BYTES:
        return dataclasses.replace(record, key=None, value=b"", headers=((OMITTED_SIZE, str(size).encode()),))
    if record.key is None and record.value is None:  # valid in Kafka, but aiokafka raises
        return dataclasses.replace(record, value=b"")
    return record
