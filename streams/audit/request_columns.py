"""Columns of ``requests_log`` for settled requests."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.events.catalog import RequestSettled
from schemas.kafka.records import ConsumerRecord
from streams.audit.shared_columns import RequesterColumns, outcome_columns
from streams.audit.tables import Columns

VERSIONS = 2**64 - 1
"""Version of offset 0. Later offsets have lower versions, so that of two outcomes of a request the first one stays."""


def build_request_columns(
    records: Sequence[ConsumerRecord], events: Sequence[RequestSettled], requesters: RequesterColumns
) -> Columns:
    """Return all columns of each request, with the durations of its stages."""
    received = [event.request.received_at for event in events]
    admitted = [event.admitted_at for event in events]
    routed = [event.routed_at for event in events]
    called = [event.called_at for event in events]
    answered = [event.answered_at for event in events]
    return (
        outcome_columns(events)
        | requesters.columns([event.request for event in events])
        | {
            "received_at": received,
            "response_id": [event.response_id for event in events],
            "attempts": [event.attempts for event in events],
            "admitted_at": admitted,
            "routed_at": routed,
            "called_at": called,
            "answered_at": answered,
            "settled_at": [event.settled_at for event in events],
            "deadline_at": [event.request.deadline_at for event in events],
            "filter_ms": _elapsed_ms(received, admitted),
            "route_ms": _elapsed_ms(admitted, routed),
            "queue_ms": _elapsed_ms(routed, called),
            "call_ms": _elapsed_ms(called, answered),
            "input": [event.input for event in events],
            "output": [event.output for event in events],
            "kafka_partition": [record.partition for record in records],
            "kafka_offset": [record.offset for record in records],
            "version": [VERSIONS - record.offset for record in records],
        }
    )


def _elapsed_ms(starts: Sequence[int | None], ends: Sequence[int | None]) -> list[int | None]:
    return [None if start is None or end is None else end - start for start, end in zip(starts, ends, strict=True)]
