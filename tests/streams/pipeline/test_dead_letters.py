from __future__ import annotations

import pytest

from connectors.kafka.clients.producer import LARGEST
from schemas.kafka.headers import Headers, last
from schemas.kafka.records import Record
from streams.pipeline.dead_letters import LEFT_OUT, laid_aside


def test_a_dead_record_keeps_its_bytes_its_place_and_its_headers() -> None:
    record = Record("llm.requests.v1", 3, 9, 1_000, b"\xff", b"\xfe", (("trace", b"\xfd"), ("none", None)))

    output = laid_aside(record, stage="filter", group="llm.filter", error="UnreadableError", reason="no text")

    assert (output.topic, output.partition, output.key, output.value) == ("llm.requests.v1-dlt", 3, b"\xff", b"\xfe")
    assert output.headers[:2] == record.headers
    assert last(output.headers, "__connect.errors.stage") == b"filter"
    assert last(output.headers, "kafka_dlt-exception-message") == b"no text"


@pytest.mark.parametrize(
    ("key", "value", "headers"),
    [
        (b"k", bytes(LARGEST), ()),
        (bytes(LARGEST), b"v", ()),
        (b"k", b"v", (("h", bytes(LARGEST)),)),
        (b"k", b"v", (("", None),) * (LARGEST // 8)),
    ],
    ids=["value", "key", "header", "headers"],
)
def test_a_record_that_is_too_large_to_be_written_again_stays_where_it_is(
    key: bytes, value: bytes, headers: Headers
) -> None:
    record = Record("llm.requests.v1", 3, 9, 1_000, key, value, headers)

    output = laid_aside(record, stage="filter", group="llm.filter", error="UnreadableError", reason="too large")

    assert (output.key, output.value) == (None, b"")
    assert int(last(output.headers, LEFT_OUT) or b"") >= LARGEST // 2
    assert last(output.headers, "__connect.errors.offset") == b"9"


def test_a_record_of_nothing_has_an_empty_value_since_aiokafka_can_not_write_it() -> None:
    record = Record("llm.requests.v1", 3, 9, 1_000, None, None, ())

    output = laid_aside(record, stage="filter", group="llm.filter", error="UnreadableError", reason="no value")

    assert (output.key, output.value) == (None, b"")
