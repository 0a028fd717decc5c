"""A record that nobody can use, laid aside untouched, with what went wrong beside it."""

from __future__ import annotations

import dataclasses

from connectors.kafka.clients.producer import MAX_RECORD_BYTES
from schemas.kafka.headers import dead_letter_headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord

OMITTED_SIZE = "sluice-left-out"
"""On a dead letter: that its record is too large to be written again, and so is only at its original place."""
DEAD_LETTER_OVERHEAD_BYTES = 64 * 1024
"""For what a dead letter has beside its record."""
_HEADER_OVERHEAD_BYTES = 16
"""Around one header, at most."""


def dead_letter_record(record: ConsumerRecord, *, stage: str, group: str, error: str, reason: str) -> ProducerRecord:
    """Address a record to the dead-letter topic of where it came from, to the same partition, as Spring does.

    A record may be larger than what we may write: brokers limit what it weighs compressed. Its letter then has all
    that is said here, and the record stays where it is.

    Args:
        record: as it was read.
        stage: who could not use it.
        group: the stage's consumer group.
        error: the class of what went wrong.
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
    """Return the record as our producers can write it: without all of a caller's if that is too much, never nothing."""
    size = len(record.key or b"") + len(record.value or b"")
    size += sum(len(name.encode()) + len(value or b"") + _HEADER_OVERHEAD_BYTES for name, value in record.headers)
    if size > MAX_RECORD_BYTES - DEAD_LETTER_OVERHEAD_BYTES:
        return dataclasses.replace(record, key=None, value=b"", headers=((OMITTED_SIZE, str(size).encode()),))
    if record.key is None and record.value is None:  # Kafka takes this, and aiokafka raises
        return dataclasses.replace(record, value=b"")
    return record
