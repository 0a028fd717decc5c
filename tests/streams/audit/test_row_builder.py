from __future__ import annotations

import dataclasses
import itertools
import random
import uuid
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import schemas
from schemas.events.catalog import EVENTS, Event, RequestAdmitted, RequestReceived
from schemas.events.parts import Header, ReplyTo, Request
from schemas.events.request_id import named_request_id, recorded_request_id
from schemas.kafka import headers as wire
from schemas.kafka.headers import dead_letter_headers
from schemas.kafka.request_headers import REPLY_HEADER_STYLES, REQUEST_NAMES
from streams.audit import tables as columns
from streams.pipeline.dead_letters import dead_letter_record
from streams.pipeline.request_identity import request_id_of
from tests.fixtures.rows import (
    ID,
    NOW,
    REQUEST,
    ROW_BUILDER,
    SETTLED,
    TOPICS,
    TRACE,
    by_row,
    event_of,
    record,
    request_of,
)


def test_event_row_has_requester_and_log_position() -> None:
    row = event_of(record(TOPICS.outcomes.name, SETTLED, (("ce_source", b"/sluice/reply"), ("ce_id", b"e1"))))

    assert (row["event_type"], row["event_id"]) == ("RequestSettled", "e1")
    assert (row["tenant"], row["request_id"], row["key_id"]) == ("acme", ID, "k1")
    assert (row["trace_id"], row["correlation_id"], row["idempotency_key"]) == (TRACE, "00ff", "order-7")
    assert (row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]) == (TOPICS.outcomes.name, 2, 41)
    assert (row["stage"], row["policy_actions"]) == ("reply", ["pii.EMAIL_ADDRESS:mask"])


def test_replayed_outcome_has_an_event_row_but_no_request_row() -> None:
    replay = record(TOPICS.outcomes.name, dataclasses.replace(SETTLED, replayed=True))

    assert request_of(replay) is None
    assert event_of(replay)["attributes"] == {"replayed": "true"}


def test_request_settled_on_another_topic_has_no_request_row() -> None:
    assert request_of(record(TOPICS.admitted.name, SETTLED)) is None


CANARY = "4111 1111 1111 1111"
CANARY_BYTES = CANARY.encode()
CANARY_REQUEST = Request(
    request_id=CANARY,
    tenant=CANARY,
    key_id=CANARY,
    operation="chat",
    source="http",
    received_at=4111111111111,
    deadline_at=4111111111111 + 4111111,
    idempotency_key=CANARY,
    traceparent=f"00-{'4111' * 8}!-00f067aa0ba902b7-01",
    reply_to=ReplyTo(
        topic=CANARY, partition=4111, key=CANARY_BYTES, correlation=(Header(name="correlation-id", value=CANARY_BYTES),)
    ),
)
"""A request with a canary in every field that a caller sets."""
CALLER_HEADERS = (
    *REQUEST_NAMES,
    *(name for style in REPLY_HEADER_STYLES for name in (style.topic, style.partition, style.correlation) if name),
    *(name for name, _ in wire.cloudevent_headers(SETTLED, ID, "reply", NOW, "t")),
    *(name for name, _ in dead_letter_headers("t", 0, 0, 0, (), stage="s", group="g", error="e", reason="r")),
    *("operation", "deadline-ms", "whatever"),
)
UNSCREENED: dict[str, Event | bytes | None] = {
    "request": RequestReceived(request=CANARY_REQUEST, body=CANARY_BYTES),
    "another event": RequestAdmitted(
        request=CANARY_REQUEST, model=CANARY, body=CANARY, labels={CANARY: CANARY}, admitted_at=NOW, config_hash=CANARY
    ),
    "an outcome": dataclasses.replace(SETTLED, request=CANARY_REQUEST, input=CANARY, output=CANARY, model=CANARY),
    "text": CANARY_BYTES,
    "json": b'{"model": "' + CANARY_BYTES + b'", "metadata": {"' + CANARY_BYTES + b'": "' + CANARY_BYTES + b'"}}',
    "broken avro": b"\x00\x00\x00\x00\x65" + CANARY_BYTES,
    "bad frame": b"\x00" + CANARY_BYTES,
    "unknown schema id": b"\x004111" + CANARY_BYTES,
    "tombstone": None,
}


@pytest.mark.parametrize("topic", [TOPICS.requests.name, "llm.requests.acme.v1"])
@pytest.mark.parametrize("value", UNSCREENED.values(), ids=UNSCREENED.keys())
def test_unscreened_caller_content_is_not_stored(topic: str, value: Event | bytes | None) -> None:
    headers = tuple((name, CANARY_BYTES) for name in CALLER_HEADERS)
    received = record(topic, value, headers, key=CANARY_BYTES)
    dead_letter = dead_letter_record(
        received, stage="filter", group="llm.filter", error="UnreadableError", reason="no text"
    )
    dead_record = record(dead_letter.topic, dead_letter.value, dead_letter.headers, key=dead_letter.key)

    for row in (event_of(received), event_of(dead_record)):
        assert "4111" not in repr(row)
        assert row["idempotency_key"] == row["correlation_id"] == row["key_id"] == row["input"] == row["output"] == ""
        assert row["bytes"] == len(received.value or b"")
        assert (row["tenant"], row["request_id"]) == (
            "acme" if "acme" in topic else "default",
            request_id_of(received, TOPICS),
        )
    assert event_of(dead_record)["error_message"] == "no text"
    assert request_of(received) is None
    assert request_of(dead_record) is None


def test_request_of_the_ingress_has_tenant_request_id_and_allowed_time() -> None:
    row = event_of(record(TOPICS.requests.name, RequestReceived(request=REQUEST, body=b"{}")))

    assert (row["event_type"], row["stage"], row["source"], row["operation"]) == (
        "RequestReceived",
        "ingress",
        "http",
        "chat",
    )
    assert (row["tenant"], row["request_id"], row["trace_id"]) == ("acme", ID, TRACE)
    assert (row["attributes"], row["event_time"]) == ({"allowed_ms": "60000"}, NOW + 5)


def test_json_on_a_request_topic_is_a_request_of_the_tenant_of_the_topic() -> None:
    named_record = record("llm.requests.acme.v1", b"{}", (("Idempotency-Key", b"order-7"), ("correlation-id", b"c1")))
    unnamed_record = record(TOPICS.requests.name, b"{}")

    first, second = event_of(named_record), event_of(unnamed_record)

    assert (first["event_type"], first["tenant"], first["source"]) == ("RequestReceived", "acme", "kafka")
    assert first["request_id"] == named_request_id("acme", "order-7")
    assert second["tenant"] == "default"
    assert second["request_id"] == recorded_request_id(TOPICS.requests.name, 2, 41, NOW + 5)


def test_tenant_of_the_topic_overrides_the_tenant_of_the_event() -> None:
    foreign = RequestReceived(request=dataclasses.replace(REQUEST, tenant="globex"), body=b"{}")

    row = event_of(record("llm.requests.acme.v1", foreign))

    assert row["tenant"] == "acme"
    assert row["request_id"] == named_request_id("acme", ID)


@pytest.mark.parametrize("value", [None, b"", b"\x00\x01", b"no avro"])
def test_undecodable_record_has_an_event_row(value: bytes | None) -> None:
    row = event_of(record(TOPICS.admitted.name, value))

    assert row["event_type"] == "Undecodable"
    assert row["attributes"]["reason"]
    assert (row["kafka_offset"], row["event_time"]) == (41, NOW + 5)


@pytest.mark.parametrize("header", ["Idempotency-Key", "ce_source", "traceparent", "reply-topic", "ce_id"])
def test_record_with_a_header_that_is_not_utf8_has_an_event_row(header: str) -> None:
    row = event_of(record(TOPICS.requests.name, b"{}", ((header, b"\xff\xfe"),)))

    assert row["event_type"] == "RequestReceived"
    assert uuid.UUID(row["request_id"])


def test_dead_letter_row_has_the_original_position_and_the_error() -> None:
    headers = dead_letter_headers(
        TOPICS.requests.name, 1, 7, NOW, (("request_id", b"mine"),), stage="filter", group="g", error="Bad", reason="so"
    )

    row = event_of(record(TOPICS.requests.dead_letters, b"whatever", headers))

    assert (row["event_type"], row["stage"], row["error_type"], row["error_message"]) == (
        "DeadLettered",
        "filter",
        "Bad",
        "so",
    )
    assert row["request_id"] == named_request_id("default", "mine")
    assert row["attributes"]["kafka_offset"] == "7"


def test_dead_letter_of_an_unnamed_request_has_the_request_id_of_its_record() -> None:
    original = record(TOPICS.requests.name, b"whatever", partition=1, offset=7, timestamp_ms=NOW)
    headers = dead_letter_headers(original.topic, 1, 7, NOW, (), stage="filter", group="g", error="Bad", reason="so")

    row = event_of(record(TOPICS.requests.dead_letters, original.value, headers))

    assert row["request_id"] == event_of(original)["request_id"]


def example_events() -> list[Event]:
    files = Path(schemas.__file__).parent.joinpath("examples").glob("*/*.json")
    classes = {event.__name__: event for event in EVENTS}
    return [TypeAdapter(classes[file.name.split(".")[0]]).validate_json(file.read_bytes()) for file in sorted(files)]


def test_batch_has_the_same_rows_as_its_records_alone() -> None:
    event_headers = (("ce_id", b"e1"), ("ce_source", b"/sluice/call"))
    topics = [name for topic in TOPICS.all for name in (topic.name, topic.dead_letters)]
    outcomes = [SETTLED, dataclasses.replace(SETTLED, replayed=True)]
    values: list[Event | bytes | None] = [*UNSCREENED.values(), *example_events(), *outcomes]
    records = [
        record(topic, value, headers, offset=number, timestamp_ms=NOW + number)
        for number, (topic, value, headers) in enumerate(itertools.product(topics, values, ((), event_headers)))
    ]
    random.Random(7).shuffle(records)

    batch = ROW_BUILDER.build(records)

    events = dict(zip(batch.events.records, by_row(columns.EVENTS, batch.events), strict=True))
    requests = dict(zip(batch.requests.records, by_row(columns.REQUESTS, batch.requests), strict=True))
    assert requests
    assert len(events) == len(records)
    for each in records:
        assert (events[each], requests.get(each)) == (event_of(each), request_of(each))


def test_build_is_deterministic() -> None:
    records = [record(TOPICS.outcomes.name, SETTLED, offset=1), record(TOPICS.requests.name, b"{}", offset=2)] * 2

    assert ROW_BUILDER.build(records) == ROW_BUILDER.build(records)


def test_empty_batch_has_no_rows() -> None:
    batch = ROW_BUILDER.build([])

    assert not any((*batch.events.columns, *batch.requests.columns))
