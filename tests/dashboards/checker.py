"""Runs every query of every dashboard and alert rule on a ClickHouse, and says what Grafana could not draw.

Used here over rows that come from written events, and by the flow tests over what a running gateway left behind.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from streams.provisioning.dashboards import NAMES, dashboard_named, provisioned
from tests.dashboards.expander import UnknownMacroError, View, expand

NUMBER = re.compile(r"(Nullable\()?(U?Int|Float|Decimal|Bool)")
TIME = re.compile(r"DateTime")
TEXT = re.compile(r"(LowCardinality\()?String")


@dataclass(frozen=True)
class Query:
    """One query of a dashboard, with where it stands."""

    where: str
    """Dashboard / panel: the name for people, and for ``may_be_empty``."""
    sql: str
    is_series: bool


@dataclass(frozen=True)
class Answer:
    """What ClickHouse gave: columns with their types, and rows."""

    columns: dict[str, str]
    rows: list[list[Any]]


def queries() -> Iterator[Query]:
    """Every query that the dashboards hold: of panels, of variables, of annotations."""
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


def run(clickhouse: ClickHouseClient, sql: str) -> Answer:
    """Ask as Grafana does."""
    answer = json.loads(clickhouse.query(sql, "JSONCompact"))
    return Answer({column["name"]: column["type"] for column in answer["meta"]}, answer["data"])


def dashboard_faults(clickhouse: ClickHouseClient, view: View, may_be_empty: Collection[str] = ()) -> list[str]:
    """What is wrong with any query over this data: one sentence each, none if Grafana can draw every panel.

    Args:
        clickhouse: with all our tables and some traffic in them.
        view: what is looked at.
        may_be_empty: "dashboard / panel" that this data has nothing for.

    """
    faults = []
    for query in queries():
        try:
            answer = run(clickhouse, expand(query.sql, view))
        except (ClickHouseError, UnknownMacroError) as error:
            faults.append(f"{query.where}: {error}")
            continue
        if not answer.rows and query.where not in may_be_empty:
            faults.append(f"{query.where}: no rows")
        if query.is_series:
            faults += [f"{query.where}: {fault}" for fault in series_faults(answer)]
    return faults


def series_faults(answer: Answer) -> Iterator[str]:
    """What keeps Grafana from drawing these rows as lines."""
    names, types = list(answer.columns), list(answer.columns.values())
    if names[0] != "time" or not TIME.match(types[0]):
        yield f"the first column is {names[0]} {types[0]}, not time"
    labels = [index for index, kind in enumerate(types) if index and TEXT.match(kind)]
    numbers = [index for index, kind in enumerate(types) if index and NUMBER.match(kind)]
    if not numbers or len(labels) + len(numbers) + 1 != len(types):
        yield f"columns must be a time, labels and numbers: {answer.columns}"
    points = [(row[0], *(row[label] for label in labels)) for row in answer.rows]
    if [point[0] for point in points] != sorted(point[0] for point in points):
        yield "the points are not in the order of time"
    if len(set(points)) != len(points):
        yield "a line has two points at one time"


def alert_values(clickhouse: ClickHouseClient) -> dict[str, dict[str, float]]:
    """What each alert rule would reduce to now: by the rule's uid and its labels' values."""
    return {rule["uid"]: _alert_value(clickhouse, rule) for rule in rules()}


def firing(clickhouse: ClickHouseClient) -> set[str]:
    """The uids of the rules whose threshold is passed now."""
    thresholds = {rule["uid"]: threshold(rule) for rule in rules()}
    values = alert_values(clickhouse)
    return {uid for uid, found in values.items() if any(value > thresholds[uid] for value in found.values())}


def rules() -> list[dict[str, Any]]:
    """All alert rules of the provisioning file."""
    return [rule for group in provisioned("alerting")["groups"] for rule in group["rules"]]


def threshold(rule: Mapping[str, Any]) -> float:
    """Above which the rule fires."""
    evaluator = rule["data"][-1]["model"]["conditions"][0]["evaluator"]
    assert evaluator["type"] == "gt"
    return float(evaluator["params"][0])


def _alert_value(clickhouse: ClickHouseClient, rule: Mapping[str, Any]) -> dict[str, float]:
    answer = run(clickhouse, rule["data"][0]["model"]["rawSql"])
    faults = list(series_faults(answer))
    assert not faults, f"{rule['uid']}: {faults}"
    return {"/".join(str(label) for label in row[1:-1]): float(row[-1]) for row in answer.rows}
