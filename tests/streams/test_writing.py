from __future__ import annotations

from schemas.headers import last
from schemas.topics import Topics
from streams.writing import written
from tests.making import read, routed


def test_an_event_is_written_under_its_requests_id_with_its_trace() -> None:
    event = routed()

    output = written(event, Topics().routed, "route", 0, serial="/1")

    assert read(output) == [event]
    assert (output.topic, output.key, output.partition) == ("llm.routed.v1", event.request.request_id.encode(), None)
    assert last(output.headers, "ce_id") == f"{event.request.request_id}/RequestRouted/1".encode()
    assert last(output.headers, "traceparent") == event.request.traceparent.encode()
