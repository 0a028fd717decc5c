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


def test_configuration_applied_has_no_stage() -> None:
    applied = ConfigurationApplied(config_hash="c", configuration="{}", applied_at=NOW)
    headers = cloudevent_headers(applied, "c", "up", NOW, "")

    row = event_of(record(TOPICS.config.name, applied, headers))

    assert (row["event_type"], row["stage"], row["config_hash"]) == ("ConfigurationApplied", "", "c")


def test_every_event_class_has_a_column_builder() -> None:
    assert set(COLUMN_BUILDERS) == set(EVENTS)


def test_requested_model_and_provider_model_have_separate_columns() -> None:
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


def test_input_and_output_are_stored_in_one_event_each() -> None:
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


def test_attempt_row_has_the_translated_body_its_changes_and_the_native_usage() -> None:
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


def test_attempt_row_has_no_input_if_the_body_was_not_translated() -> None:
    finished = AttemptFinished(
        request=REQUEST, attempt=1, provider="p", model="m", worker="w", started_at=NOW, finished_at=NOW
    )

    row = event_of(record(TOPICS.attempts.name, finished))

    assert (row["input"], row["attributes"]) == ("", {})


def test_feedback_row_has_label_score_and_comment() -> None:
    feedback = FeedbackGiven(request_id=ID, tenant="acme", label="good", score=0.5, comment="thanks", given_at=NOW)

    row = event_of(record(TOPICS.feedback.name, feedback))

    assert (row["labels"], row["attributes"], row["input"]) == ({"label": "good"}, {"score": "0.5"}, "thanks")


def test_rows_of_the_batch_lane_have_a_lane_attribute() -> None:
    request = dataclasses.replace(REQUEST, lane="batch")
    received = record(TOPICS.batch.requests.name, RequestReceived(request=request, body=b"{}"))
    settled = record(TOPICS.outcomes.name, dataclasses.replace(SETTLED, request=request))

    assert [event_of(event_record)["attributes"]["lane"] for event_record in (received, settled)] == ["batch", "batch"]
