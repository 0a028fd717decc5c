"""docs/tables.md is in step with the tables and with the events: no column, event type or attribute is missing."""

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
OF_A_RECORD = {"DeadLettered", "Undecodable", "Unstorable"}
"""Event types that are no event class: rows of records that could not be processed, decoded or stored."""

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
"""Events with the optional fields that no example sets."""


def listed_types() -> dict[str, set[str]]:
    """The attributes of each event type, as the page lists them."""
    return {row[0].strip("`"): code_spans(row[3]) for row in rows(section(TEXT, "Event types"))}


def examples() -> list[Event]:
    """Every example event, with every field set."""
    classes = {cls.__name__: cls for cls in EVENTS}
    files = sorted(Path(schemas.__file__).parent.joinpath("examples").glob("*/*.json"))
    return [TypeAdapter(classes[file.name.partition(".")[0]]).validate_json(file.read_bytes()) for file in files]


def attributes_of(event: Event) -> set[str]:
    attributes = COLUMN_BUILDERS[type(event)]([event]).get("attributes", [{}])
    return set(attributes[0]) if isinstance(attributes, list) else set()


def test_every_event_type_has_a_row() -> None:
    assert listed_types().keys() == {cls.__name__ for cls in EVENTS} | OF_A_RECORD


def test_every_attribute_that_an_event_writes_is_listed_and_no_other() -> None:
    written: dict[str, set[str]] = {cls.__name__: set() for cls in EVENTS}
    for event in [*examples(), *COMPLETE]:
        written[type(event).__name__] |= attributes_of(event)

    listed = listed_types()

    assert {name: listed[name] for name in written} == written


def test_every_attribute_of_a_record_that_is_no_event_is_listed() -> None:
    garbage = record(TOPICS.admitted.name, b"\0")
    dead = record(TOPICS.admitted.dead_letters, b"\0")
    stub = ROW_BUILDER.placeholder(garbage, "too large")

    made = ROW_BUILDER.build([garbage, dead]).events

    written = {
        row["event_type"]: set(row["attributes"]) for part in (made, stub) for row in by_row(columns.EVENTS, part)
    }
    assert {name: listed_types()[name] for name in OF_A_RECORD} == written


def test_every_attribute_has_its_meaning() -> None:
    explained = {
        (key, of)
        for row in rows(section(TEXT, "Attributes"))
        for key in code_spans(row[0])
        for of in code_spans(row[1])
    }

    assert explained == {(key, name) for name, keys in listed_types().items() for key in keys}


@pytest.mark.parametrize("text", ["", BEGIN, END, f"{END}{BEGIN}"])
def test_a_page_without_its_marks_is_an_error(text: str) -> None:
    nobody: ClickHouseClient = None  # type: ignore[assignment]

    with pytest.raises(ValueError, match="needs the lines"):
        page_with_tables(text, nobody)


@pytest.mark.flow
def test_the_page_is_in_step_with_the_comments(clickhouse: ClickHouseClient) -> None:
    assert page_with_tables(TEXT, clickhouse) == TEXT, "run `make docs`"


@pytest.mark.flow
def test_every_table_and_column_has_a_comment(clickhouse: ClickHouseClient) -> None:
    bare = clickhouse.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
        " UNION ALL SELECT name, '' FROM system.tables WHERE database = currentDatabase() AND comment = ''"
    )

    assert bare == []


@pytest.mark.flow
def test_the_page_has_every_table_but_those_under_a_view(clickhouse: ClickHouseClient) -> None:
    names = {row["name"] for row in clickhouse.rows("SHOW TABLES")}

    assert names == {*TABLES, "requests_log", "events_log"}


@pytest.mark.flow
@pytest.mark.parametrize("view", ["events", "requests"])
def test_a_view_has_the_comments_of_its_table(clickhouse: ClickHouseClient, view: str) -> None:
    described = [
        [(row["name"], row["type"], row["comment"]) for row in clickhouse.rows(f"DESCRIBE {name}")]
        for name in (view, f"{view}_log")
    ]

    assert described[0] == described[1]
