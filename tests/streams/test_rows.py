from __future__ import annotations

import itertools
import json
import random
import uuid
from pathlib import Path
from typing import Any

import pytest

import schemas
from schemas import headers as wire
from schemas.codec import encode
from schemas.events import (
    EVENTS,
    AttemptFinished,
    AttemptStarted,
    Change,
    Event,
    Failure,
    FeedbackGiven,
    Header,
    PolicyAction,
    ReplyTo,
    Request,
    RequestAdmitted,
    RequestReceived,
    RequestSettled,
    Usage,
)
from schemas.headers import Headers, dead_letter
from schemas.identity import named_request_id, recorded_request_id
from schemas.records import Record
from schemas.topics import Topics
from streams import columns
from streams.columns import Rows, Table
from streams.dead_letters import laid_aside
from streams.ends import VERSIONS
from streams.facts import FACTS
from streams.reception import request_id_of
from streams.rows import RowMaker

TOPICS = Topics(tenants=("acme",))
MAKER = RowMaker(TOPICS)
ID = "01890a5d-ac96-774b-bcce-b302099a8057"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
NOW = 1_700_000_000_000

REQUEST = Request(
    request_id=ID,
    tenant="acme",
    key_id="k1",
    operation="chat",
    source="http",
    received_at=NOW,
    deadline_at=NOW + 60_000,
    idempotency_key="order-7",
    traceparent=f"00-{TRACE}-00f067aa0ba902b7-01",
    reply_to=ReplyTo(topic="llm.replies.x", correlation=(Header(name="correlation-id", value=b"\x00\xff"),)),
)
SETTLED = RequestSettled(
    request=REQUEST,
    outcome="answered",
    model="fast",
    input="asked",
    output="answered",
    labels={"team": "a"},
    actions=(PolicyAction(rule="pii.EMAIL_ADDRESS", action="mask", count=3),),
    provider="sim",
    provider_model="echo",
    usage=Usage(input_tokens=3, output_tokens=4),
    cost_usd="0.000012",
    attempts=1,
    admitted_at=NOW + 1,
    routed_at=NOW + 3,
    called_at=NOW + 6,
    answered_at=NOW + 16,
    settled_at=NOW + 20,
    config_hash="c0ffee",
)


def record(topic: str, value: Event | bytes | None, headers: Headers = (), **changes: Any) -> Record:
    body = encode(value) if isinstance(value, Event) else value
    place: dict[str, Any] = {
        "partition": 2,
        "offset": 41,
        "timestamp_ms": NOW + 5,
        "key": b"the caller's key",
    } | changes
    return Record(topic=topic, value=body, headers=headers, **place)


def by_row(table: Table, rows: Rows) -> list[dict[str, Any]]:
    return [dict(zip(table.names, row, strict=True)) for row in zip(*rows.columns, strict=True)]


def event_of(record: Record) -> dict[str, Any]:
    [row] = by_row(columns.EVENTS, MAKER.rows([record]).events)
    return row


def request_of(record: Record) -> dict[str, Any] | None:
    rows = by_row(columns.REQUESTS, MAKER.rows([record]).requests)
    return rows[0] if rows else None


def test_every_event_has_its_columns() -> None:
    assert set(FACTS) == set(EVENTS)


def test_a_row_says_who_asked_and_where_it_stands_on_the_log() -> None:
    row = event_of(record(TOPICS.outcomes.name, SETTLED, (("ce_source", b"/sluice/reply"), ("ce_id", b"e1"))))

    assert (row["event_type"], row["event_id"]) == ("RequestSettled", "e1")
    assert (row["tenant"], row["request_id"], row["key_id"]) == ("acme", ID, "k1")
    assert (row["trace_id"], row["correlation_id"], row["idempotency_key"]) == (TRACE, "00ff", "order-7")
    assert (row["kafka_topic"], row["kafka_partition"], row["kafka_offset"]) == (TOPICS.outcomes.name, 2, 41)
    assert (row["stage"], row["policy_actions"]) == ("reply", ["pii.EMAIL_ADDRESS:mask"])


def test_the_name_that_a_caller_used_and_the_one_of_the_provider_have_their_own_columns() -> None:
    admitted = RequestAdmitted(request=REQUEST, model="fast", body="asked", admitted_at=NOW, config_hash="c")
    started = AttemptStarted(
        request=REQUEST, attempt=1, provider="sim", model="echo", worker="w", started_at=NOW, expires_at=NOW + 1
    )
    finished = AttemptFinished(
        request=REQUEST, attempt=1, provider="sim", model="echo", worker="w", started_at=NOW, finished_at=NOW
    )

    rows = [
        event_of(record(TOPICS.admitted.name, admitted)),
        event_of(record(TOPICS.attempts.name, started)),
        event_of(record(TOPICS.attempts.name, finished)),
        event_of(record(TOPICS.outcomes.name, SETTLED)),
    ]

    assert [(row["request_model"], row["provider_model"]) for row in rows] == [
        ("fast", ""),
        ("", "echo"),
        ("", "echo"),
        ("fast", "echo"),
    ]


def test_a_text_is_kept_once_among_the_events() -> None:
    admitted = RequestAdmitted(request=REQUEST, model="m", body="asked", admitted_at=NOW, config_hash="c")
    finished = AttemptFinished(
        request=REQUEST,
        attempt=1,
        provider="p",
        model="m",
        worker="w",
        started_at=NOW,
        finished_at=NOW,
        body="answered",
    )

    rows = [
        event_of(record(TOPICS.admitted.name, admitted)),
        event_of(record(TOPICS.attempts.name, finished)),
        event_of(record(TOPICS.outcomes.name, SETTLED)),
    ]

    assert [(row["input"], row["output"]) for row in rows] == [("asked", ""), ("", "answered"), ("", "")]


def test_an_attempt_says_what_its_provider_was_sent_and_how_that_differs_from_what_was_asked() -> None:
    finished = AttemptFinished(
        request=REQUEST,
        attempt=1,
        provider="p",
        model="m",
        worker="w",
        started_at=NOW,
        finished_at=NOW,
        sent='{"maxTokens": 5}',
        changes=(
            Change(param="max_tokens", action="renamed", detail="maxTokens"),
            Change(param="seed", action="dropped", detail="there is none"),
        ),
        native_usage='{"inputTokens": 3}',
    )

    row = event_of(record(TOPICS.attempts.name, finished))

    assert row["input"] == '{"maxTokens": 5}'
    assert row["attributes"]["native_usage"] == '{"inputTokens": 3}'
    assert json.loads(row["attributes"]["changes"]) == [
        {"param": "max_tokens", "action": "renamed", "detail": "maxTokens"},
        {"param": "seed", "action": "dropped", "detail": "there is none"},
    ]


def test_an_attempt_that_sent_what_was_asked_keeps_no_second_copy_of_it() -> None:
    finished = AttemptFinished(
        request=REQUEST, attempt=1, provider="p", model="m", worker="w", started_at=NOW, finished_at=NOW
    )

    row = event_of(record(TOPICS.attempts.name, finished))

    assert (row["input"], row["attributes"]) == ("", {})


def test_a_settled_request_has_a_row_with_the_time_that_each_stage_took() -> None:
    row = request_of(record(TOPICS.outcomes.name, SETTLED))

    assert row is not None
    assert [row[name] for name in ("filter_ms", "route_ms", "queue_ms", "call_ms", "duration_ms")] == [1, 2, 3, 10, 20]
    assert (row["input"], row["output"], row["cost_usd"], row["http_status"]) == ("asked", "answered", "0.000012", 200)
    assert row["version"] == VERSIONS - 41


def test_a_refused_request_has_no_times_of_stages_it_never_saw() -> None:
    failure = Failure(status=403, type="permission_error", code="policy_violation", message="refused by deny.x")
    refused = RequestSettled(request=REQUEST, outcome="refused", failure=failure, settled_at=NOW + 1)

    row = request_of(record(TOPICS.outcomes.name, refused))

    assert row is not None
    assert (row["filter_ms"], row["route_ms"], row["queue_ms"], row["call_ms"]) == (None, None, None, None)
    assert (row["error_type"], row["http_status"], row["cost_usd"]) == ("policy_violation", 403, None)


def test_a_replay_is_an_event_and_no_second_request() -> None:
    replay = record(TOPICS.outcomes.name, SETTLED.model_copy(update={"replayed": True}))

    assert request_of(replay) is None
    assert event_of(replay)["attributes"] == {"replayed": "true"}


def test_an_end_on_another_topic_is_no_end() -> None:
    assert request_of(record(TOPICS.admitted.name, SETTLED)) is None


CANARY = "4111 1111 1111 1111"
MARKED = CANARY.encode()
TOLD = Request(
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
        topic=CANARY, partition=4111, key=MARKED, correlation=(Header(name="correlation-id", value=MARKED),)
    ),
)
"""A canary in every field that a caller can fill."""
NAMED_BY_CALLERS = (
    *wire.REQUEST_NAMES,
    *(name for dialect in wire.DIALECTS for name in (dialect.topic, dialect.partition, dialect.correlation) if name),
    *(name for name, _ in wire.cloudevent(SETTLED, ID, "reply", NOW, "t")),
    *(name for name, _ in dead_letter("t", 0, 0, 0, (), stage="s", group="g", error="e", reason="r")),
    *("operation", "deadline-ms", "whatever"),
)
UNSCREENED: dict[str, Event | bytes | None] = {
    "request": RequestReceived(request=TOLD, body=MARKED),
    "another event": RequestAdmitted(
        request=TOLD, model=CANARY, body=CANARY, labels={CANARY: CANARY}, admitted_at=NOW, config_hash=CANARY
    ),
    "an end": SETTLED.model_copy(update={"request": TOLD, "input": CANARY, "output": CANARY, "model": CANARY}),
    "text": MARKED,
    "json": b'{"model": "' + MARKED + b'", "metadata": {"' + MARKED + b'": "' + MARKED + b'"}}',
    "broken avro": b"\x00\x00\x00\x00\x65" + MARKED,
    "bad frame": b"\x00" + MARKED,
    "another's schema": b"\x004111" + MARKED,
    "nothing": None,
}


@pytest.mark.parametrize("topic", [TOPICS.requests.name, "llm.requests.acme.v1"])
@pytest.mark.parametrize("value", UNSCREENED.values(), ids=UNSCREENED.keys())
def test_nothing_that_a_caller_wrote_is_kept_before_the_filter_has_seen_it(
    topic: str, value: Event | bytes | None
) -> None:
    headers = tuple((name, MARKED) for name in NAMED_BY_CALLERS)
    received = record(topic, value, headers, key=MARKED)
    letter = laid_aside(received, stage="filter", group="llm.filter", error="UnreadableError", reason="no text")
    dead = record(letter.topic, letter.value, letter.headers, key=letter.key)

    for row in (event_of(received), event_of(dead)):
        assert "4111" not in repr(row)
        assert row["idempotency_key"] == row["correlation_id"] == row["key_id"] == row["input"] == row["output"] == ""
        assert row["bytes"] == len(received.value or b"")
        assert (row["tenant"], row["request_id"]) == (
            "acme" if "acme" in topic else "default",
            request_id_of(received, TOPICS),
        )
    assert event_of(dead)["error_message"] == "no text"
    assert request_of(received) is None
    assert request_of(dead) is None


def test_a_request_of_the_ingress_is_told_by_its_tenant_its_id_and_how_long_it_may_take() -> None:
    row = event_of(record(TOPICS.requests.name, RequestReceived(request=REQUEST, body=b"{}")))

    assert (row["event_type"], row["stage"], row["source"], row["operation"]) == (
        "RequestReceived",
        "ingress",
        "http",
        "chat",
    )
    assert (row["tenant"], row["request_id"], row["trace_id"]) == ("acme", ID, TRACE)
    assert (row["attributes"], row["event_time"]) == ({"allowed_ms": "60000"}, NOW + 5)


def test_json_on_a_request_topic_is_a_request_of_the_topics_owner() -> None:
    named = record("llm.requests.acme.v1", b"{}", (("Idempotency-Key", b"order-7"), ("correlation-id", b"c1")))
    unnamed = record(TOPICS.requests.name, b"{}")

    first, second = event_of(named), event_of(unnamed)

    assert (first["event_type"], first["tenant"], first["source"]) == ("RequestReceived", "acme", "kafka")
    assert first["request_id"] == named_request_id("acme", "order-7")
    assert second["tenant"] == "default"
    assert second["request_id"] == recorded_request_id(TOPICS.requests.name, 2, 41, NOW + 5)


def test_a_tenant_can_not_speak_for_another_in_its_own_topic() -> None:
    foreign = RequestReceived(request=REQUEST.model_copy(update={"tenant": "globex"}), body=b"{}")

    row = event_of(record("llm.requests.acme.v1", foreign))

    assert row["tenant"] == "acme"
    assert row["request_id"] == named_request_id("acme", ID)


@pytest.mark.parametrize("value", [None, b"", b"\x00\x01", b"no avro"])
def test_what_can_not_be_read_is_a_row_all_the_same(value: bytes | None) -> None:
    row = event_of(record(TOPICS.admitted.name, value))

    assert row["event_type"] == "Undecodable"
    assert row["attributes"]["reason"]
    assert (row["kafka_offset"], row["event_time"]) == (41, NOW + 5)


@pytest.mark.parametrize("header", ["Idempotency-Key", "ce_source", "traceparent", "reply-topic", "ce_id"])
def test_a_header_that_is_not_utf8_breaks_nothing(header: str) -> None:
    row = event_of(record(TOPICS.requests.name, b"{}", ((header, b"\xff\xfe"),)))

    assert row["event_type"] == "RequestReceived"
    assert uuid.UUID(row["request_id"])


def test_a_dead_letter_says_what_it_was_and_why_it_died() -> None:
    headers = dead_letter(
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


def test_a_dead_letter_of_an_unnamed_request_keeps_the_id_that_it_had() -> None:
    alive = record(TOPICS.requests.name, b"whatever", partition=1, offset=7, timestamp_ms=NOW)
    headers = dead_letter(alive.topic, 1, 7, NOW, (), stage="filter", group="g", error="Bad", reason="so")

    row = event_of(record(TOPICS.requests.dead_letters, alive.value, headers))

    assert row["request_id"] == event_of(alive)["request_id"]


def test_feedback_has_its_label_where_datasets_look_for_it() -> None:
    given = FeedbackGiven(request_id=ID, tenant="acme", label="good", score=0.5, comment="thanks", given_at=NOW)

    row = event_of(record(TOPICS.feedback.name, given))

    assert (row["labels"], row["attributes"], row["input"]) == ({"label": "good"}, {"score": "0.5"}, "thanks")


def test_values_that_no_column_holds_are_brought_to_the_nearest_that_it_does() -> None:
    wild = SETTLED.model_copy(
        update={
            "request": REQUEST.model_copy(update={"received_at": 10**15, "request_id": "no uuid"}),
            "usage": Usage(input_tokens=2**40, output_tokens=-1),
            "settled_at": -5,
            "cost_usd": "NaN",
            "attempts": 2**20,
            "model": "m" * 1000,
        }
    )

    row = request_of(record(TOPICS.outcomes.name, wild))

    assert row is not None
    assert (row["received_at"], row["settled_at"], row["duration_ms"]) == (columns.LATEST_MS, 0, 0)
    assert (row["input_tokens"], row["output_tokens"], row["attempts"]) == (2**32 - 1, 0, 2**16 - 1)
    assert (row["request_id"], row["cost_usd"], len(row["request_model"])) == (columns.NIL, None, columns.NAME_LENGTH)


def test_what_takes_the_batch_lane_is_told_by_its_rows_from_the_door_to_its_end() -> None:
    request = REQUEST.model_copy(update={"lane": "batch"})
    received = record(TOPICS.batch.requests.name, RequestReceived(request=request, body=b"{}"))
    ended = record(TOPICS.outcomes.name, SETTLED.model_copy(update={"request": request}))

    assert [event_of(each)["attributes"]["lane"] for each in (received, ended)] == ["batch", "batch"]


def examples() -> list[Event]:
    files = Path(schemas.__file__).parent.joinpath("examples").glob("*/*.json")
    named = {event.__name__: event for event in EVENTS}
    return [named[file.name.split(".")[0]].model_validate_json(file.read_bytes()) for file in sorted(files)]


def test_a_record_has_the_same_rows_among_many_as_alone() -> None:
    signed = (("ce_id", b"e1"), ("ce_source", b"/sluice/call"))
    topics = [name for topic in TOPICS.all for name in (topic.name, topic.dead_letters)]
    ends = [SETTLED, SETTLED.model_copy(update={"replayed": True})]
    values: list[Event | bytes | None] = [*UNSCREENED.values(), *examples(), *ends]
    records = [
        record(topic, value, headers, offset=number, timestamp_ms=NOW + number)
        for number, (topic, value, headers) in enumerate(itertools.product(topics, values, ((), signed)))
    ]
    random.Random(7).shuffle(records)

    made = MAKER.rows(records)

    events = dict(zip(made.events.records, by_row(columns.EVENTS, made.events), strict=True))
    requests = dict(zip(made.requests.records, by_row(columns.REQUESTS, made.requests), strict=True))
    assert requests
    assert len(events) == len(records)
    for one in records:
        assert (events[one], requests.get(one)) == (event_of(one), request_of(one))


def test_the_same_batch_makes_the_same_columns() -> None:
    records = [record(TOPICS.outcomes.name, SETTLED, offset=1), record(TOPICS.requests.name, b"{}", offset=2)] * 2

    assert MAKER.rows(records) == MAKER.rows(records)


def test_no_records_are_no_rows() -> None:
    made = MAKER.rows([])

    assert not any((*made.events.columns, *made.requests.columns))
