from __future__ import annotations

import dataclasses
import json

from schemas.events.catalog import (
    EVENTS,
    AttemptFinished,
    AttemptStarted,
    ConfigurationApplied,
    FeedbackGiven,
    RequestAdmitted,
    RequestReceived,
)
from schemas.events.parts import Change
from schemas.kafka.headers import cloudevent_headers
from streams.audit.event_columns import COLUMN_BUILDERS
from tests.fixtures.rows import ID, NOW, REQUEST, SETTLED, TOPICS, event_of, record


def test_configuration_applied_has_no_stage_because_no_stage_writes_it() -> None:
    applied = ConfigurationApplied(config_hash="c", configuration="{}", applied_at=NOW)
    headers = cloudevent_headers(applied, "c", "up", NOW, "")

    row = event_of(record(TOPICS.config.name, applied, headers))

    assert (row["event_type"], row["stage"], row["config_hash"]) == ("ConfigurationApplied", "", "c")


def test_every_event_has_its_columns() -> None:
    assert set(COLUMN_BUILDERS) == set(EVENTS)


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


def test_feedback_has_its_label_where_datasets_look_for_it() -> None:
    given = FeedbackGiven(request_id=ID, tenant="acme", label="good", score=0.5, comment="thanks", given_at=NOW)

    row = event_of(record(TOPICS.feedback.name, given))

    assert (row["labels"], row["attributes"], row["input"]) == ({"label": "good"}, {"score": "0.5"}, "thanks")


def test_what_takes_the_batch_lane_is_told_by_its_rows_from_the_door_to_its_end() -> None:
    request = dataclasses.replace(REQUEST, lane="batch")
    received = record(TOPICS.batch.requests.name, RequestReceived(request=request, body=b"{}"))
    ended = record(TOPICS.outcomes.name, dataclasses.replace(SETTLED, request=request))

    assert [event_of(each)["attributes"]["lane"] for each in (received, ended)] == ["batch", "batch"]
