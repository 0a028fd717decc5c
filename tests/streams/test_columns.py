from __future__ import annotations

import re

import pytest

from connectors.clickhouse import ClickHouse
from streams import columns
from streams.columns import Table

pytestmark = pytest.mark.flow


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_our_columns_are_the_tables(clickhouse: ClickHouse, table: str, ours: Table) -> None:
    theirs = {row["name"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}

    assert set(ours.names) == theirs - {"ingested_at"}


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_a_row_of_blanks_goes_in(clickhouse: ClickHouse, table: str, ours: Table) -> None:
    clickhouse.insert(table, ours.names, ours.fitted([ours.row()]))

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
@pytest.mark.parametrize("number", [-(2**70), -1, 2**70])
def test_no_number_is_too_wild_for_its_column(clickhouse: ClickHouse, table: str, ours: Table, number: int) -> None:
    kinds = {row["name"]: row["type"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}
    numeric = {name for name, kind in kinds.items() if re.search("UInt|DateTime|Decimal", kind)}

    clickhouse.insert(table, ours.names, ours.fitted([ours.row(dict.fromkeys(numeric, number))]))

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


def test_the_later_of_two_values_for_a_column_counts_and_what_is_for_none_is_left_out() -> None:
    row = columns.EVENTS.row({"stage": "filter", "bytes": 1}, {"stage": "call", "no_such_column": 2})

    told = dict(zip(columns.EVENTS.names, row, strict=True))
    assert (told["stage"], told["bytes"], told["source"]) == ("call", 1, "")


@pytest.mark.parametrize(
    ("column", "told", "kept"),
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
        ("finish_reasons", [(), ["s" * 300, "stop"]], [(), ["s" * 256, "stop"]]),
        ("labels", [{}, {"k" * 300: "v" * 300}], [{}, {"k" * 256: "v" * 300}]),
    ],
)
def test_what_a_column_can_not_hold_is_brought_to_what_it_can(
    column: str, told: list[object], kept: list[object]
) -> None:
    rows = columns.EVENTS.fitted(columns.EVENTS.row({column: value}) for value in told)

    assert [row[columns.EVENTS.names.index(column)] for row in rows] == kept


def test_a_time_that_is_missing_stays_so_beside_one_that_is_too_late() -> None:
    rows = columns.REQUESTS.fitted(columns.REQUESTS.row({"called_at": at}) for at in (None, 2**70, 5))

    assert [row[columns.REQUESTS.names.index("called_at")] for row in rows] == [None, columns.LATEST_MS, 5]


def test_no_rows_are_no_rows() -> None:
    assert columns.EVENTS.fitted([]) == []
