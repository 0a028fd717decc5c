"""Runs every query of every dashboard and alert rule on ClickHouse, and reports what Grafana can't draw.

The tests here use rows of simulated events; the flow tests use the rows of a running gateway.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from streams.provisioning.dashboards import NAMES, dashboard_named, provisioning_file
from tests.dashboards.expander import UnknownMacroError, View, expand

NUMBER = re.compile(r"(Nullable\()?(U?Int|Float|Decimal|Bool)")
TIME = re.compile(r"DateTime")
TEXT = re.compile(r"(LowCardinality\()?String")


@dataclass(frozen=True)
class Query:
    """One query of a dashboard."""

    where: str
    """Dashboard / panel, as in ``may_be_empty``."""
    sql: str
    is_series: bool


@dataclass(frozen=True)
class PanelData:
    """Columns with their types, and rows."""

    columns: dict[str, str]
    rows: list[list[Any]]


def queries() -> Iterator[Query]:
    """Yield every query of the dashboards: of panels, variables and annotations."""
    for name in NAMES:
        dashboard: Any = dashboard_named(name)
        for panel in dashboard["panels"]:
            for target in panel.get("targets", []):
                yield Query(f"{name} / {panel['title']}", target["rawSql"], is_series=target["format"] == 0)
        for variable in dashboard["templating"]["list"]:
            if variable["type"] == "query":
                yield Query(f"{name} / ${variable['name']}", variable["query"], is_series=False)
        for annotation in dashboard["annotations"]["list"]:
            if "target" in annotation:
                yield Query(f"{name} / {annotation['name']}", annotation["target"]["rawSql"], is_series=False)


def run(clickhouse: ClickHouseClient, sql: str) -> PanelData:
    """Run a query as Grafana does."""
    data = json.loads(clickhouse.query(sql, "JSONCompact"))
    return PanelData({column["name"]: column["type"] for column in data["meta"]}, data["data"])


def find_faults(clickhouse: ClickHouseClient, view: View, may_be_empty: Collection[str] = ()) -> list[str]:
    """Return one sentence for each fault of a query over this data; empty if Grafana can draw every panel.

    Args:
        clickhouse: database with all tables and some traffic.
        view: time range and selected variables.
        may_be_empty: "dashboard / panel" names for which this data has no rows.

    """
    faults = []
    for query in queries():
        try:
            data = run(clickhouse, expand(query.sql, view))
        except (ClickHouseError, UnknownMacroError) as error:
            faults.append(f"{query.where}: {error}")
            continue
        if not data.rows and query.where not in may_be_empty:
            faults.append(f"{query.where}: no rows")
        if query.is_series:
            faults += [f"{query.where}: {fault}" for fault in find_series_faults(data)]
    return faults


def find_series_faults(data: PanelData) -> Iterator[str]:
    """Yield the reasons for which Grafana can't draw these rows as lines."""
    names, types = list(data.columns), list(data.columns.values())
    if names[0] != "time" or not TIME.match(types[0]):
        yield f"the first column is {names[0]} {types[0]}, not time"
    labels = [index for index, kind in enumerate(types) if index and TEXT.match(kind)]
    numbers = [index for index, kind in enumerate(types) if index and NUMBER.match(kind)]
    if not numbers or len(labels) + len(numbers) + 1 != len(types):
        yield f"columns must be a time, labels and numbers: {data.columns}"
    points = [(row[0], *(row[label] for label in labels)) for row in data.rows]
    if [point[0] for point in points] != sorted(point[0] for point in points):
        yield "the points are not in the order of time"
    if len(set(points)) != len(points):
        yield "a line has two points at one time"


def alert_values(clickhouse: ClickHouseClient) -> dict[str, dict[str, float]]:
    """Return the current value of each alert rule, by uid and by the values of its labels."""
    return {rule["uid"]: _alert_value(clickhouse, rule) for rule in rules()}


def firing_rules(clickhouse: ClickHouseClient) -> set[str]:
    """Return the uids of the rules that are above their threshold now."""
    thresholds = {rule["uid"]: threshold(rule) for rule in rules()}
    values = alert_values(clickhouse)
    return {uid for uid, found in values.items() if any(value > thresholds[uid] for value in found.values())}


def rules() -> list[dict[str, Any]]:
    """Return all alert rules of the provisioning file."""
    return [rule for group in provisioning_file("alerting")["groups"] for rule in group["rules"]]


def threshold(rule: Mapping[str, Any]) -> float:
    """Return the value above which the rule fires."""
    evaluator = rule["data"][-1]["model"]["conditions"][0]["evaluator"]
    assert evaluator["type"] == "gt"
    return float(evaluator["params"][0])


def _alert_value(clickhouse: ClickHouseClient, rule: Mapping[str, Any]) -> dict[str, float]:
    data = run(clickhouse, rule["data"][0]["model"]["rawSql"])
    faults = list(find_series_faults(data))
    assert not faults, f"{rule['uid']}: {faults}"
    return {"/".join(str(label) for label in row[1:-1]): float(row[-1]) for row in data.rows}
