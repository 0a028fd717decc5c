"""Records of events: every stage writes them with the same key, framing and headers."""

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
    event_id_suffix: str = "",
    partition: int | None = None,
    write_after_revocation: bool = False,
) -> ProducerRecord:
    """Return the record of an event, with the request's id as key.

    Args:
        event: the event.
        topic: topic of this event class.
        stage: the stage that writes it.
        at_ms: time of the event, milliseconds since the epoch.
        event_id_suffix: distinguishes events of the same class and request.
        partition: explicit partition; None derives it from the key.
        write_after_revocation: whether a worker writes it also after it lost the request's partition.

    """
    request = event.request
    headers = cloudevent_headers(event, request.request_id, stage, at_ms, request.traceparent, serial=event_id_suffix)
    key = request.request_id.encode()
    return ProducerRecord(
        topic.name, key, encode(event), headers, partition, write_after_revocation=write_after_revocation
    )


def attempt_event_record(event: AttemptEvent, topic: Topic, stage: str, partition: int) -> ProducerRecord:
    """Return the record of an attempt, in the partition number of its request, so that the next owner can read it.

    After a revocation, the end of an attempt is still written, but no start.
    """
    match event:
        case AttemptStarted():
            at_ms = event.started_at
        case AttemptFinished():
            at_ms = event.finished_at
        case AttemptWithdrawn():
            at_ms = event.withdrawn_at
    is_end = not isinstance(event, AttemptStarted)
    suffix = f"/{event.attempt}"
    return request_event_record(
        event, topic, stage, at_ms, event_id_suffix=suffix, partition=partition, write_after_revocation=is_end
    )


def target_event_record(event: TargetStateChanged, topic: Topic, stage: str) -> ProducerRecord:
    """Return the record of a target's state change, with the target's name as key, so that its states stay in order."""
    target = f"{event.provider}/{event.model}"
    headers = cloudevent_headers(
        event, event.worker, stage, event.changed_at, "", serial=f"/{target}/{event.changed_at}"
    )
    headers_without_request = tuple(item for item in headers if item[0] != REQUEST_ID)
    return ProducerRecord(
        topic.name, target.encode(), encode(event), headers_without_request, write_after_revocation=True
    )
