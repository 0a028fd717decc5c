from __future__ import annotations

import struct

import pytest

from schemas.events.catalog import FeedbackGiven
from schemas.events.parts import Header, ReplyTo
from schemas.kafka.headers import (
    REPLY_HEADER_STYLES,
    BadHeaderError,
    Headers,
    ReplyHeaderStyle,
    cloudevent_headers,
    dead_letter_headers,
    last_value,
    parse_reply_to,
    request_name,
    rfc3339,
    text,
)

FEEDBACK = FeedbackGiven(request_id="r", tenant="t", given_at=1)
CORRELATION = bytes(range(240, 256))
"""Sixteen bytes that are no text, as Spring's are."""


def asked(dialect: ReplyHeaderStyle, partition: bytes | None = None) -> Headers:
    headers: list[tuple[str, bytes | None]] = [
        (dialect.topic, b"llm.replies.me"),
        (dialect.correlation, CORRELATION),
    ]
    if dialect.partition and partition is not None:
        headers.append((dialect.partition, partition))
    return tuple(headers)


@pytest.mark.parametrize("dialect", REPLY_HEADER_STYLES, ids=lambda dialect: dialect.name)
def test_each_dialect_asks_for_a_reply_and_gets_its_correlation_back_untouched(dialect: ReplyHeaderStyle) -> None:
    found = parse_reply_to(asked(dialect), b"key")

    assert found == ReplyTo(
        topic="llm.replies.me", key=b"key", correlation=(Header(name=dialect.correlation, value=CORRELATION),)
    )


@pytest.mark.parametrize(
    "dialect", [dialect for dialect in REPLY_HEADER_STYLES if dialect.partition], ids=lambda each: each.name
)
@pytest.mark.parametrize(
    ("value", "partition"),
    [(struct.pack(">i", 3), 3), (b"3", 3), (b"12", 12), (b"1234", 1234), (struct.pack(">i", 0), 0), (None, None)],
)
def test_a_partition_is_a_big_endian_integer_or_digits(
    dialect: ReplyHeaderStyle, value: bytes | None, partition: int | None
) -> None:
    found = parse_reply_to(asked(dialect, value), None)

    assert found is not None
    assert found.partition == partition


@pytest.mark.parametrize("value", [b"", b"x", b"-1", b"1.0", b"\x00\x01", b"\xff" * 4, b"9" * 11, b"9" * 5000])
def test_a_partition_that_is_neither_is_named_and_not_shown(value: bytes) -> None:
    plain = REPLY_HEADER_STYLES[-1]

    with pytest.raises(BadHeaderError, match=r"^header reply-partition is neither a 4-byte integer nor digits$"):
        parse_reply_to(asked(plain, value), None)


def test_nobody_waits_without_a_reply_topic() -> None:
    assert parse_reply_to((("correlation-id", b"c"), ("kafka_correlationId", b"c")), b"k") is None
    assert parse_reply_to((("reply-topic", b""),), b"k") is None


def test_of_two_dialects_the_first_in_the_table_is_meant() -> None:
    spring, *_, plain = REPLY_HEADER_STYLES
    headers = (("reply-topic", b"other"), ("correlation-id", b"other"), *asked(spring))

    found = parse_reply_to(headers, None)

    assert found is not None
    assert found.topic == "llm.replies.me"
    assert [header.name for header in found.correlation] == [spring.correlation]
    assert plain.topic == "reply-topic"


def test_a_correlation_without_a_value_is_never_sent_back() -> None:
    found = parse_reply_to((("reply-topic", b"t"), ("correlation-id", None)), None)

    assert found is not None
    assert found.correlation == ()


def test_an_empty_correlation_is_one() -> None:
    found = parse_reply_to((("reply-topic", b"t"), ("correlation-id", b"")), None)

    assert found is not None
    assert found.correlation == (Header(name="correlation-id", value=b""),)


def test_a_reply_topic_that_is_no_text_is_named_and_not_shown() -> None:
    with pytest.raises(BadHeaderError, match=r"^header reply-topic is not UTF-8$"):
        parse_reply_to((("reply-topic", b"\xff\xfe"),), None)


def test_a_name_that_comes_twice_means_its_last_value() -> None:
    headers: Headers = (("a", b"1"), ("b", b"2"), ("a", b"3"))

    assert last_value(headers, "a") == b"3"
    assert text(headers, "a") == "3"
    assert last_value(headers, "c") is None
    assert text(headers, "c") == ""


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ((("ce_id", b"second"), ("Idempotency-Key", b"first")), "first"),
        ((("request_id", b"third"), ("ce_id", b"second")), "second"),
        ((("request_id", b"third"),), "third"),
        ((("Idempotency-Key", b""), ("ce_id", b"second")), "second"),
        ((("other", b"x"),), ""),
    ],
)
def test_a_request_is_named_by_the_first_header_that_says_something(headers: Headers, name: str) -> None:
    assert request_name(headers) == name


def test_an_event_is_a_cloud_event_in_binary_mode() -> None:
    found = dict(cloudevent_headers(FEEDBACK, "r-1", "ingress", 1_700_000_000_123, "00-aa-bb-01"))

    assert found == {
        "ce_specversion": b"1.0",
        "ce_id": b"r-1/FeedbackGiven",
        "ce_source": b"/sluice/ingress",
        "ce_type": b"sluice.llm.FeedbackGiven.v1",
        "ce_time": b"2023-11-14T22:13:20.123Z",
        "content-type": b"application/avro",
        "request_id": b"r-1",
        "traceparent": b"00-aa-bb-01",
    }


def test_without_a_trace_there_is_no_trace_header() -> None:
    assert "traceparent" not in dict(cloudevent_headers(FEEDBACK, "r", "call", 0, ""))


def test_the_same_event_written_twice_has_the_same_id_and_another_attempt_another() -> None:
    first = cloudevent_headers(FEEDBACK, "r", "call", 1, "", serial="/1")
    again = cloudevent_headers(FEEDBACK, "r", "call", 2, "", serial="/1")
    second = cloudevent_headers(FEEDBACK, "r", "call", 1, "", serial="/2")

    assert last_value(first, "ce_id") == last_value(again, "ce_id") != last_value(second, "ce_id")


@pytest.mark.parametrize(
    ("time_ms", "written"),
    [(0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (1_795_520_000_000, "2026-11-24T11:33:20.000Z")],
)
def test_a_time_is_written_in_utc_with_milliseconds(time_ms: int, written: str) -> None:
    assert rfc3339(time_ms) == written


def died(headers: Headers) -> Headers:
    return dead_letter_headers(
        "llm.requests.v1", 3, 42, 99, headers, stage="filter", group="llm.filter", error="E", reason="no"
    )


def test_a_dead_letter_has_springs_headers_and_connects() -> None:
    found = dict(died(()))

    assert found["kafka_dlt-original-topic"] == b"llm.requests.v1"
    assert found["kafka_dlt-original-partition"] == (3).to_bytes(4, "big")
    assert found["kafka_dlt-original-offset"] == (42).to_bytes(8, "big")
    assert found["kafka_dlt-original-timestamp"] == (99).to_bytes(8, "big")
    assert found["kafka_dlt-original-consumer-group"] == b"llm.filter"
    assert found["__connect.errors.topic"] == b"llm.requests.v1"
    assert found["__connect.errors.offset"] == b"42"
    assert found["__connect.errors.stage"] == b"filter"
    assert found["__connect.errors.exception.message"] == b"no"


def test_a_dead_letter_keeps_its_own_headers_first_and_as_they_were() -> None:
    own: Headers = (("a", b"\xff"), ("a", None), ("kafka_correlationId", CORRELATION))

    assert died(own)[:3] == own


def test_what_a_caller_wrote_under_these_names_does_not_count() -> None:
    forged: Headers = (("kafka_dlt-exception-message", b"theirs"), ("kafka_dlt-original-offset", bytes(8)))

    found = died(forged)

    assert found[:2] == forged
    assert last_value(found, "kafka_dlt-exception-message") == b"no"
    assert last_value(found, "kafka_dlt-original-offset") == (42).to_bytes(8, "big")
