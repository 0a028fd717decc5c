from __future__ import annotations

import re

import pytest

from connectors.clickhouse import ClickHouse
from streams import columns
from streams.columns import Column

pytestmark = pytest.mark.flow


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_our_columns_are_the_tables(clickhouse: ClickHouse, table: str, ours: tuple[Column, ...]) -> None:
    theirs = {row["name"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}

    assert {column.name for column in ours} == theirs - {"ingested_at"}
    assert len({column.name for column in ours}) == len(ours)


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
def test_a_row_of_blanks_goes_in(clickhouse: ClickHouse, table: str, ours: tuple[Column, ...]) -> None:
    clickhouse.insert(table, [column.name for column in ours], [columns.row(ours, {})])

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]


@pytest.mark.parametrize(("table", "ours"), [("events_log", columns.EVENTS), ("requests_log", columns.REQUESTS)])
@pytest.mark.parametrize("number", [-(2**70), -1, 2**70])
def test_no_number_is_too_wild_for_its_column(
    clickhouse: ClickHouse, table: str, ours: tuple[Column, ...], number: int
) -> None:
    kinds = {row["name"]: row["type"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}
    numeric = {name for name, kind in kinds.items() if re.search("UInt|DateTime|Decimal", kind)}

    clickhouse.insert(table, [column.name for column in ours], [columns.row(ours, dict.fromkeys(numeric, number))])

    assert clickhouse.rows(f"SELECT count() AS n FROM {table}") == [{"n": 1}]
