"""Tests of the checker."""

from __future__ import annotations

import pytest

from connectors.clickhouse import ClickHouseClient
from tests.dashboards.checker import PanelData, find_faults, find_series_faults, queries
from tests.dashboards.expander import View

SERIES = {"time": "DateTime('UTC')", "tenant": "LowCardinality(String)", "requests": "Nullable(Float64)"}


@pytest.mark.flow
def test_panel_without_rows_is_a_fault(clickhouse: ClickHouseClient) -> None:
    faults = find_faults(clickhouse, View(0, 1_000_000))

    assert "traffic / Requests by tenant: no rows" in faults


@pytest.mark.flow
def test_query_that_the_engine_rejects_is_a_fault(clickhouse: ClickHouseClient) -> None:
    clickhouse.command("DROP VIEW unsettled")

    faults = find_faults(clickhouse, View(0, 1_000_000), may_be_empty={query.where for query in queries()})

    assert {fault.split(":")[0] for fault in faults} == {
        "traffic / Gateway",
        "traffic / Unsettled",
        "pipeline / Unsettled",
        "pipeline / Requests by last event",
        "pipeline / Unsettled requests",
    }


def test_series_by_label_in_order_of_time_has_no_fault() -> None:
    data = PanelData(SERIES, [["10:00", "a", 1], ["10:00", "b", None], ["10:01", "a", 2]])

    assert list(find_series_faults(data)) == []


@pytest.mark.parametrize(
    ("columns", "rows", "fault"),
    [
        ({"at": "DateTime", "n": "UInt8"}, [], "the first column is at"),
        ({"time": "String", "n": "UInt8"}, [], "the first column is time String"),
        ({"time": "DateTime", "tenant": "String"}, [], "labels and numbers"),
        ({"time": "DateTime", "n": "Array(UInt8)"}, [], "labels and numbers"),
        (SERIES, [["10:01", "a", 1], ["10:00", "a", 1]], "not in the order of time"),
        (SERIES, [["10:00", "a", 1], ["10:00", "a", 2]], "two points at one time"),
    ],
)
def test_series_that_grafana_can_not_draw_is_a_fault(
    columns: dict[str, str], rows: list[list[object]], fault: str
) -> None:
    assert any(fault in message for message in find_series_faults(PanelData(columns, rows)))
