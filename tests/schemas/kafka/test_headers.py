from __future__ import annotations

import pytest

from schemas.events.catalog import FeedbackGiven
from schemas.kafka.headers import (
    Headers,
    cloudevent_headers,
    dead_letter_headers,
    last_value,
    rfc3339,
    text,
)

FEEDBACK = FeedbackGiven(request_id="r", tenant="t", given_at=1)
CORRELATION = bytes(range(240, 256))
"""Sixteen bytes that are not UTF-8, as Spring's correlation ids are."""


def test_last_value_of_a_repeated_header_wins() -> None:
    headers: Headers = (("a", b"1"), ("b", b"2"), ("a", b"3"))

    assert last_value(headers, "a") == b"3"
    assert text(headers, "a") == "3"
    assert last_value(headers, "c") is None
    assert text(headers, "c") == ""


def test_event_headers_are_cloudevents_in_binary_mode() -> None:
    headers = dict(cloudevent_headers(FEEDBACK, "r-1", "ingress", 1_700_000_000_123, "00-aa-bb-01"))

    assert headers == {
        "ce_specversion": b"1.0",
        "ce_id": b"r-1/FeedbackGiven",
        "ce_source": b"/sluice/ingress",
        "ce_type": b"sluice.llm.FeedbackGiven.v1",
        "ce_time": b"2023-11-14T22:13:20.123Z",
        "content-type": b"application/avro",
        "request_id": b"r-1",
        "traceparent": b"00-aa-bb-01",
    }


def test_event_without_trace_has_no_traceparent_header() -> None:
    assert "traceparent" not in dict(cloudevent_headers(FEEDBACK, "r", "call", 0, ""))


def test_event_id_repeats_for_the_same_event_and_differs_per_attempt() -> None:
    first = cloudevent_headers(FEEDBACK, "r", "call", 1, "", serial="/1")
    again = cloudevent_headers(FEEDBACK, "r", "call", 2, "", serial="/1")
    second = cloudevent_headers(FEEDBACK, "r", "call", 1, "", serial="/2")

    assert last_value(first, "ce_id") == last_value(again, "ce_id") != last_value(second, "ce_id")


@pytest.mark.parametrize(
    ("time_ms", "written"),
    [(0, "1970-01-01T00:00:00.000Z"), (1, "1970-01-01T00:00:00.001Z"), (1_795_520_000_000, "2026-11-24T11:33:20.000Z")],
)
def test_rfc3339_is_utc_with_milliseconds(time_ms: int, written: str) -> None:
    assert rfc3339(time_ms) == written


def dead_letter_of(headers: Headers) -> Headers:
    return dead_letter_headers(
        "llm.requests.v1", 3, 42, 99, headers, stage="filter", group="llm.filter", error="E", reason="no"
    )


def test_dead_letter_has_headers_of_spring_and_kafka_connect() -> None:
    headers = dict(dead_letter_of(()))

    assert headers["kafka_dlt-original-topic"] == b"llm.requests.v1"
    assert headers["kafka_dlt-original-partition"] == (3).to_bytes(4, "big")
    assert headers["kafka_dlt-original-offset"] == (42).to_bytes(8, "big")
    assert headers["kafka_dlt-original-timestamp"] == (99).to_bytes(8, "big")
    assert headers["kafka_dlt-original-consumer-group"] == b"llm.filter"
    assert headers["__connect.errors.topic"] == b"llm.requests.v1"
    assert headers["__connect.errors.offset"] == b"42"
    assert headers["__connect.errors.stage"] == b"filter"
    assert headers["__connect.errors.exception.message"] == b"no"


def test_dead_letter_keeps_original_headers_first_and_unchanged() -> None:
    own: Headers = (("a", b"\xff"), ("a", None), ("kafka_correlationId", CORRELATION))

    assert dead_letter_of(own)[:3] == own


def test_dead_letter_headers_of_the_caller_are_overridden() -> None:
    forged: Headers = (("kafka_dlt-exception-message", b"theirs"), ("kafka_dlt-original-offset", bytes(8)))

    headers = dead_letter_of(forged)

    assert headers[:2] == forged
    assert last_value(headers, "kafka_dlt-exception-message") == b"no"
    assert last_value(headers, "kafka_dlt-original-offset") == (42).to_bytes(8, "big")
