from __future__ import annotations

import re

import pytest

from connectors.clickhouse import ClickHouseClient
from schemas.kafka.records import ConsumerRecord
from streams.audit import tables as columns
from streams.audit.tables import Columns, Table, Values

pytestmark = pytest.mark.flow

RECORDS = [ConsumerRecord("t", 0, offset, 0, None, None, ()) for offset in range(3)]


def told(table: Table, values: Columns, rows: int = 1) -> list[Values]:
    return table.build_rows([(RECORDS[:1] * rows, values)]).columns


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_our_columns_are_the_tables(clickhouse: ClickHouseClient, table: str, ours: Table) -> None:
    theirs = {row["name"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}

    assert set(ours.names) == theirs - {"ingested_at"}


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_a_row_of_blanks_goes_in(clickhouse: ClickHouseClient, table: str, ours: Table) -> None:
    clickhouse.insert_columns(table, ours.names, told(ours, {}))

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
@pytest.mark.parametrize("number", [-(2**70), -1, 2**70])
def test_no_number_is_too_wild_for_its_column(
    clickhouse: ClickHouseClient, table: str, ours: Table, number: int
) -> None:
    kinds = {row["name"]: row["type"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}
    numeric = {name for name, kind in kinds.items() if re.search("UInt|DateTime|Decimal", kind)}

    clickhouse.insert_columns(table, ours.names, told(ours, dict.fromkeys(numeric, number)))

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


def test_what_is_told_once_stands_in_every_row_and_what_is_for_no_column_is_left_out() -> None:
    rows = columns.EVENTS.build_rows(
        [
            (RECORDS[:2], {"stage": "s" * 300, "bytes": [1, 2], "no_such_column": 2}),
            (RECORDS[2:], {"bytes": [3]}),
        ]
    )

    kept = dict(zip(columns.EVENTS.names, rows.columns, strict=True))
    assert (kept["stage"], kept["bytes"], kept["source"]) == (["s" * 256, "s" * 256, ""], [1, 2, 3], ["", "", ""])
    assert "no_such_column" not in kept
    assert rows.records == RECORDS


def test_a_part_of_rows_has_its_records_and_its_values() -> None:
    rows = columns.EVENTS.build_rows([(RECORDS, {"bytes": [1, 2, 3], "stage": "call"})])

    part = rows.part(slice(1, None))

    assert part == columns.EVENTS.build_rows([(RECORDS[1:], {"bytes": [2, 3], "stage": "call"})])


@pytest.mark.parametrize(
    ("column", "values", "kept"),
    [
        ("stage", ["call", "c" * 300], ["call", "c" * 256]),
        ("bytes", [1, -1, 2**40], [1, 0, 2**32 - 1]),
        (
            "request_id",
            ["no id", "00000000-0000-0000-0000-00000000000A"],
            [columns.NIL, "00000000-0000-0000-0000-00000000000A"],
        ),
        ("cost_usd", ["1E-7", None, "a lot", "NaN"], ["0.0000001", None, None, None]),
        ("cost_usd", ["1E+99999999", "1E-99999999", "0"], [None, "0", "0"]),
        ("finish_reasons", [(), ["s" * 300, "stop"]], [[], ["s" * 256, "stop"]]),
        ("labels", [{}, {"k" * 300: "v" * 300}], [{}, {"k" * 256: "v" * 300}]),
    ],
)
def test_what_a_column_can_not_hold_is_brought_to_what_it_can(
    column: str, values: list[object], kept: list[object]
) -> None:
    fitted = told(columns.EVENTS, {column: values}, len(values))

    assert fitted[columns.EVENTS.names.index(column)] == kept


def test_a_time_that_is_missing_stays_so_beside_one_that_is_too_late() -> None:
    fitted = told(columns.REQUESTS, {"called_at": [None, 2**70, 5]}, 3)

    assert fitted[columns.REQUESTS.names.index("called_at")] == [None, columns.LATEST_MS, 5]


def test_a_time_that_is_missing_everywhere_stays_so() -> None:
    fitted = told(columns.REQUESTS, {"called_at": [None, None]}, 2)

    assert fitted[columns.REQUESTS.names.index("called_at")] == [None, None]
