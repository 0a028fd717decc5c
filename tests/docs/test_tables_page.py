"""Tests that docs/tables.md lists exactly the columns, event types and attributes of the code."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from pydantic import TypeAdapter

import schemas
from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.docs import BEGIN, END, PAGE, TABLES, page_with_tables
from schemas.events.catalog import EVENTS, AttemptFinished, Event, RequestAdmitted
from schemas.events.parts import Change
from streams.audit import tables as columns
from streams.audit.event_columns import COLUMN_BUILDERS
from tests.docs.pages import code_spans, rows, section
from tests.fixtures.rows import NOW, REQUEST, ROW_BUILDER, SETTLED, TOPICS, by_row, record

TEXT = PAGE.read_text("utf-8")
RECORD_EVENT_TYPES = {"DeadLettered", "Undecodable", "Unstorable"}
"""Event types without an event class: records that could not be processed, decoded or stored."""

BATCH = dataclasses.replace(REQUEST, lane="batch")
COMPLETE = (
    RequestAdmitted(request=BATCH, model="fast", body="{}", admitted_at=NOW, config_hash="c"),
    AttemptFinished(
        request=REQUEST,
        attempt=1,
        provider="sim",
        model="echo",
        worker="w",
        started_at=NOW,
        finished_at=NOW,
        changes=(Change(param="max_tokens", action="renamed", detail="max_completion_tokens"),),
        native_usage="{}",
    ),
    dataclasses.replace(SETTLED, request=BATCH, replayed=True),
)
"""Events with optional fields that no example sets."""


def listed_types() -> dict[str, set[str]]:
    """Return the attributes of each event type on the page."""
    return {row[0].strip("`"): code_spans(row[3]) for row in rows(section(TEXT, "Event types"))}


def examples() -> list[Event]:
    """Return the example events."""
    classes = {cls.__name__: cls for cls in EVENTS}
    files = sorted(Path(schemas.__file__).parent.joinpath("examples").glob("*/*.json"))
    return [TypeAdapter(classes[file.name.partition(".")[0]]).validate_json(file.read_bytes()) for file in files]


def attributes_of(event: Event) -> set[str]:
    attributes = COLUMN_BUILDERS[type(event)]([event]).get("attributes", [{}])
    return set(attributes[0]) if isinstance(attributes, list) else set()


def test_every_event_type_has_a_row() -> None:
    assert listed_types().keys() == {cls.__name__ for cls in EVENTS} | RECORD_EVENT_TYPES


def test_attributes_of_events_are_exactly_those_listed() -> None:
    written: dict[str, set[str]] = {cls.__name__: set() for cls in EVENTS}
    for event in [*examples(), *COMPLETE]:
        written[type(event).__name__] |= attributes_of(event)

    listed = listed_types()

    assert {name: listed[name] for name in written} == written


def test_attributes_of_failed_records_are_exactly_those_listed() -> None:
    garbage = record(TOPICS.admitted.name, b"\0")
    dead = record(TOPICS.admitted.dead_letters, b"\0")
    stub = ROW_BUILDER.placeholder(garbage, "too large")

    built = ROW_BUILDER.build([garbage, dead]).events

    written = {
        row["event_type"]: set(row["attributes"]) for part in (built, stub) for row in by_row(columns.EVENTS, part)
    }
    assert {name: listed_types()[name] for name in RECORD_EVENT_TYPES} == written


def test_every_attribute_has_a_meaning() -> None:
    explained = {
        (key, of)
        for row in rows(section(TEXT, "Attributes"))
        for key in code_spans(row[0])
        for of in code_spans(row[1])
    }

    assert explained == {(key, name) for name, keys in listed_types().items() for key in keys}


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_page_without_its_marks_is_an_error(text: str) -> None:
    unused: ClickHouseClient = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match="needs the lines"):
        page_with_tables(text, unused)


@pytest.mark.flow
def test_page_is_generated_from_the_comments(clickhouse: ClickHouseClient) -> None:
    assert page_with_tables(TEXT, clickhouse) == TEXT, "run `make docs`"


@pytest.mark.flow
def test_every_table_and_column_has_a_comment(clickhouse: ClickHouseClient) -> None:
    bare = clickhouse.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
        " UNION ALL SELECT name, '' FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    )

    assert bare == []


@pytest.mark.flow
def test_page_has_every_view_and_table_without_a_view(clickhouse: ClickHouseClient) -> None:
    names = {row["name"] for row in clickhouse.rows("SHOW TABLES")}

    assert names == {*TABLES, "requests_log", "events_log"}


@pytest.mark.flow
@pytest.mark.parametrize("view", ["events", "requests"])
def test_view_has_the_comments_of_its_table(clickhouse: ClickHouseClient, view: str) -> None:
    described = [
        [(row["name"], row["type"], row["comment"]) for row in clickhouse.rows(f"DESCRIBE {name}")]
        for name in (view, f"{view}_log")
    ]

    assert described[0] == described[1]
