"""A record that nobody can use, laid aside untouched, with what went wrong beside it."""

from __future__ import annotations

from schemas.headers import dead_letter
from schemas.records import Output, Record


def laid_aside(record: Record, *, stage: str, group: str, error: str, reason: str) -> Output:
    """Address a record to the dead-letter topic of where it came from, to the same partition, as Spring does.

    Args:
        record: as it was read.
        stage: who could not use it.
        group: the stage's consumer group.
        error: the class of what went wrong.
        reason: one sentence, without the record's content.

    """
    headers = dead_letter(
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
    return Output(f"{record.topic}-dlt", record.key, record.value, headers, record.partition)
