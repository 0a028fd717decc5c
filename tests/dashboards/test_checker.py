"""That the checker sees what it is there to see."""

from __future__ import annotations

import pytest

from connectors.clickhouse import ClickHouseClient
from tests.dashboards.checker import Answer, dashboard_faults, queries, series_faults
from tests.dashboards.expander import View

SERIES = {"time": "DateTime('UTC')", "tenant": "LowCardinality(String)", "requests": "Nullable(Float64)"}


@pytest.mark.flow
def test_a_panel_without_rows_is_named(clickhouse: ClickHouseClient) -> None:
    faults = dashboard_faults(clickhouse, View(0, 1_000_000))

    assert "traffic / Requests by tenant: no rows" in faults


@pytest.mark.flow
def test_a_query_that_the_engine_refuses_is_named_with_its_reason(clickhouse: ClickHouseClient) -> None:
    clickhouse.command("DROP VIEW unsettled")

    faults = dashboard_faults(clickhouse, View(0, 1_000_000), may_be_empty={query.where for query in queries()})

    assert {fault.split(":")[0] for fault in faults} == {
        "traffic / Gateway",
        "traffic / Unsettled",
        "pipeline / Unsettled",
        "pipeline / Requests by last event",
        "pipeline / Unsettled requests",
    }


def test_lines_by_label_in_the_order_of_time_are_right() -> None:
    answer = Answer(SERIES, [["10:00", "a", 1], ["10:00", "b", None], ["10:01", "a", 2]])

    assert list(series_faults(answer)) == []


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
def test_what_grafana_could_not_draw_is_said(columns: dict[str, str], rows: list[list[object]], fault: str) -> None:
    assert any(fault in said for said in series_faults(Answer(columns, rows)))
