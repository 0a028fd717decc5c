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
from schemas.kafka.headers import REQUEST_ID, cloudevent
from schemas.kafka.records import Output
from schemas.kafka.topics import Topic

AttemptEvent = AttemptStarted | AttemptFinished | AttemptWithdrawn
RequestEvent = RequestAdmitted | RequestRouted | AttemptEvent | RequestSettled


def written(
    event: RequestEvent,
    topic: Topic,
    stage: str,
    at_ms: int,
    *,
    serial: str = "",
    partition: int | None = None,
    even_if_lost: bool = False,
) -> Output:
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
    headers = cloudevent(event, request.request_id, stage, at_ms, request.traceparent, serial=serial)
    key = request.request_id.encode()
    return Output(topic.name, key, encode(event), headers, partition, even_if_lost=even_if_lost)


def written_of_attempt(event: AttemptEvent, topic: Topic, stage: str, partition: int) -> Output:
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
    return written(event, topic, stage, at_ms, serial=f"/{event.attempt}", partition=partition, even_if_lost=ends)


def written_of_target(event: TargetStateChanged, topic: Topic, stage: str) -> Output:
    """Write what happened to a target, under its name, so that its states stay in order."""
    target = f"{event.provider}/{event.model}"
    headers = cloudevent(event, event.worker, stage, event.changed_at, "", serial=f"/{target}/{event.changed_at}")
    told = tuple(item for item in headers if item[0] != REQUEST_ID)
    return Output(topic.name, target.encode(), encode(event), told, even_if_lost=True)
