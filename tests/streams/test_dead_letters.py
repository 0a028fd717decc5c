from __future__ import annotations

from schemas.headers import last
from schemas.records import Record
from streams.dead_letters import laid_aside


def test_a_dead_record_keeps_its_bytes_its_place_and_its_headers() -> None:
    record = Record("llm.requests.v1", 3, 9, 1_000, b"\xff", b"\xfe", (("trace", b"\xfd"), ("none", None)))

    output = laid_aside(record, stage="filter", group="llm.filter", error="UnreadableError", reason="no text")

    assert (output.topic, output.partition, output.key, output.value) == ("llm.requests.v1-dlt", 3, b"\xff", b"\xfe")
    assert output.headers[:2] == record.headers
    assert last(output.headers, "__connect.errors.stage") == b"filter"
    assert last(output.headers, "kafka_dlt-exception-message") == b"no text"
