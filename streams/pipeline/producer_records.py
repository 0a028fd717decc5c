"""How a stage writes an event of a request: the same key, framing and headers from every stage."""

from __future__ import annotations

from schemas.avro.codec import encode
from schemas.events.catalog import (
    AttemptFinished,
    AttemptStarted,
    AttemptWithdrawn,
    RequestAdmitted,
    RequestRouted,
    RequestSettled,
    TargetStateChanged,
)
from schemas.kafka.headers import REQUEST_ID, cloudevent_headers
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topic

AttemptEvent = AttemptStarted | AttemptFinished | AttemptWithdrawn
RequestEvent = RequestAdmitted | RequestRouted | AttemptEvent | RequestSettled


def request_event_record(
    event: RequestEvent,
    topic: Topic,
    stage: str,
    at_ms: int,
    *,
    serial: str = "",
    partition: int | None = None,
    even_if_lost: bool = False,
) -> ProducerRecord:
    """Write an event under its request's id.

    Args:
        event: what happened.
        topic: where it belongs.
        stage: who says so.
        at_ms: when, in milliseconds since the epoch.
        serial: tells several events of one class and request apart.
        partition: if not that of the request's id.
        even_if_lost: whether it is written by a worker that has lost the request meanwhile.

    """
    request = event.request
    headers = cloudevent_headers(event, request.request_id, stage, at_ms, request.traceparent, serial=serial)
    key = request.request_id.encode()
    return ProducerRecord(topic.name, key, encode(event), headers, partition, write_after_revocation=even_if_lost)


def attempt_event_record(event: AttemptEvent, topic: Topic, stage: str, partition: int) -> ProducerRecord:
    """Write what became of an attempt beside its request, so that who gets the one partition can read the other.

    Who has lost the request begins nothing, and tells how it ended what was begun.
    """
    match event:
        case AttemptStarted():
            at_ms = event.started_at
        case AttemptFinished():
            at_ms = event.finished_at
        case AttemptWithdrawn():
            at_ms = event.withdrawn_at
    ends = not isinstance(event, AttemptStarted)
    return request_event_record(
        event, topic, stage, at_ms, serial=f"/{event.attempt}", partition=partition, even_if_lost=ends
    )


def target_event_record(event: TargetStateChanged, topic: Topic, stage: str) -> ProducerRecord:
    """Write what happened to a target, under its name, so that its states stay in order."""
    target = f"{event.provider}/{event.model}"
    headers = cloudevent_headers(
        event, event.worker, stage, event.changed_at, "", serial=f"/{target}/{event.changed_at}"
    )
    told = tuple(item for item in headers if item[0] != REQUEST_ID)
    return ProducerRecord(topic.name, target.encode(), encode(event), told, write_after_revocation=True)
