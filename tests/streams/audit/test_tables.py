from __future__ import annotations

import re

import pytest

from connectors.clickhouse import ClickHouseClient
from schemas.kafka.records import ConsumerRecord
from streams.audit import tables as columns
from streams.audit.tables import Columns, Table, Values

pytestmark = pytest.mark.flow

RECORDS = [ConsumerRecord("t", 0, offset, 0, None, None, ()) for offset in range(3)]


def build_columns(table: Table, values: Columns, rows: int = 1) -> list[Values]:
    return table.build_rows([(RECORDS[:1] * rows, values)]).columns


@pytest.mark.parametrize(("table", "definition"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_columns_are_those_of_the_clickhouse_table(clickhouse: ClickHouseClient, table: str, definition: Table) -> None:
    clickhouse_names = {row["name"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}

    assert set(definition.names) == clickhouse_names - {"ingested_at"}


@pytest.mark.parametrize(("table", "definition"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_row_of_default_values_can_be_inserted(clickhouse: ClickHouseClient, table: str, definition: Table) -> None:
    clickhouse.insert_columns(table, definition.names, build_columns(definition, {}))

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


@pytest.mark.parametrize(("table", "definition"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
@pytest.mark.parametrize("number", [-(2**70), -1, 2**70])
def test_numbers_out_of_range_can_be_inserted(
    clickhouse: ClickHouseClient, table: str, definition: Table, number: int
) -> None:
    types = {row["name"]: row["type"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}
    numeric = {name for name, type_name in types.items() if re.search("UInt|DateTime|Decimal", type_name)}

    clickhouse.insert_columns(table, definition.names, build_columns(definition, dict.fromkeys(numeric, number)))

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


def test_single_value_fills_all_rows_and_unknown_columns_are_dropped() -> None:
    rows = columns.EVENTS.build_rows(
        [
            (RECORDS[:2], {"stage": "s" * 300, "bytes": [1, 2], "no_such_column": 2}),
            (RECORDS[2:], {"bytes": [3]}),
        ]
    )

    values = dict(zip(columns.EVENTS.names, rows.columns, strict=True))
    assert (values["stage"], values["bytes"], values["source"]) == (["s" * 256, "s" * 256, ""], [1, 2, 3], ["", "", ""])
    assert "no_such_column" not in values
    assert rows.records == RECORDS


def test_part_of_rows_has_the_records_and_values_of_the_slice() -> None:
    rows = columns.EVENTS.build_rows([(RECORDS, {"bytes": [1, 2, 3], "stage": "call"})])

    part = rows.part(slice(1, None))

    assert part == columns.EVENTS.build_rows([(RECORDS[1:], {"bytes": [2, 3], "stage": "call"})])


@pytest.mark.parametrize(
    ("column", "values", "expected"),
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
def test_values_out_of_range_become_the_nearest_valid_value(
    column: str, values: list[object], expected: list[object]
) -> None:
    coerced = build_columns(columns.EVENTS, {column: values}, len(values))

    assert coerced[columns.EVENTS.names.index(column)] == expected


def test_null_timestamp_is_unchanged_beside_one_that_is_out_of_range() -> None:
    coerced = build_columns(columns.REQUESTS, {"called_at": [None, 2**70, 5]}, 3)

    assert coerced[columns.REQUESTS.names.index("called_at")] == [None, columns.LATEST_MS, 5]


def test_column_of_null_timestamps_is_unchanged() -> None:
    coerced = build_columns(columns.REQUESTS, {"called_at": [None, None]}, 2)

    assert coerced[columns.REQUESTS.names.index("called_at")] == [None, None]
