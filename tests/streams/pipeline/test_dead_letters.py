from __future__ import annotations

import pytest

from connectors.kafka.clients.producer import MAX_RECORD_BYTES
from schemas.kafka.headers import Headers, last_value
from schemas.kafka.records import ConsumerRecord
from streams.pipeline.dead_letters import OMITTED_SIZE, dead_letter_record


def test_dead_letter_keeps_bytes_position_and_headers() -> None:
    record = ConsumerRecord("llm.requests.v1", 3, 9, 1_000, b"\xff", b"\xfe", (("trace", b"\xfd"), ("none", None)))

    output = dead_letter_record(record, stage="filter", group="llm.filter", error="UnreadableError", reason="no text")

    assert (output.topic, output.partition, output.key, output.value) == ("llm.requests.v1-dlt", 3, b"\xff", b"\xfe")
    assert output.headers[:2] == record.headers
    assert last_value(output.headers, "__connect.errors.stage") == b"filter"
    assert last_value(output.headers, "kafka_dlt-exception-message") == b"no text"


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", bytes(MAX_RECORD_BYTES), ()),
        (bytes(MAX_RECORD_BYTES), b"v", ()),
        (b"k", b"v", (("h", bytes(MAX_RECORD_BYTES)),)),
        (b"k", b"v", (("", None),) * (MAX_RECORD_BYTES // 8)),
    ],
    ids=["value", "key", "header", "headers"],
)
def test_dead_letter_of_an_oversize_record_omits_its_value(key: bytes, value: bytes, headers: Headers) -> None:
    record = ConsumerRecord("llm.requests.v1", 3, 9, 1_000, key, value, headers)

    output = dead_letter_record(record, stage="filter", group="llm.filter", error="UnreadableError", reason="too large")

    assert (output.key, output.value) == (None, b"")
    assert int(last_value(output.headers, OMITTED_SIZE) or b"") >= MAX_RECORD_BYTES // 2
    assert last_value(output.headers, "__connect.errors.offset") == b"9"


def test_dead_letter_without_key_and_value_has_an_empty_value() -> None:
    record = ConsumerRecord("llm.requests.v1", 3, 9, 1_000, None, None, ())

    output = dead_letter_record(record, stage="filter", group="llm.filter", error="UnreadableError", reason="no value")

    assert (output.key, output.value) == (None, b"")
