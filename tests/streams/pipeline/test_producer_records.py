from __future__ import annotations

from typing import Any

from schemas.events.catalog import AttemptStarted
from schemas.kafka.headers import last_value
from schemas.kafka.topics import Topics
from streams.call.attempts import to_withdrawn_event
from streams.pipeline.producer_records import attempt_event_record, request_event_record
from tests.factories import read, routed


def test_event_record_has_the_request_id_as_key_and_its_traceparent() -> None:
    event = routed()

    output = request_event_record(event, Topics().routed, "route", 0, event_id_suffix="/1")

    assert read(output) == [event]
    assert (output.topic, output.key, output.partition) == ("llm.routed.v1", event.request.request_id.encode(), None)
    assert last_value(output.headers, "ce_id") == f"{event.request.request_id}/RequestRouted/1".encode()
    assert last_value(output.headers, "traceparent") == event.request.traceparent.encode()


def test_only_ends_of_attempts_are_written_after_a_revocation() -> None:
    request = routed().request
    fields: dict[str, Any] = {"provider": "sim", "model": "echo", "worker": "w", "started_at": 1, "expires_at": 3}
    started = AttemptStarted(request=request, attempt=2, **fields)

    begins, taken_back = (
        attempt_event_record(event, Topics().attempts, "call", 5) for event in (started, to_withdrawn_event(started, 2))
    )

    assert (begins.write_after_revocation, taken_back.write_after_revocation) == (False, True)
    assert (begins.partition, taken_back.partition) == (5, 5)
    assert last_value(taken_back.headers, "ce_id") == f"{request.request_id}/AttemptWithdrawn/2".encode()
