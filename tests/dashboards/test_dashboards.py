"""Tests of the dashboards' JSON files."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from importlib.resources import files
from typing import Any

import pytest

from connectors.grafana.client import PLUGIN
from streams.provisioning.dashboards import NAMES, dashboard_named, provisioning_file

WIDTH = 24
MIN_DESCRIPTION = 60
"""Minimum length of a panel's description."""


UNITS = {
    "binBps": "bytes per second",
    "bytes": "bytes",
    "cps": "events per second",
    "currencyUSD": "US dollars",
    "dateTimeAsIso": "a point in time",
    "locale": "a count, with separators",
    "ms": "milliseconds",
    "none": "a number as it is",
    "percentunit": "a share, 1 being all",
    "reqps": "requests per second",
    "s": "seconds",
    "short": "a count",
}
"""Grafana's units. It shows an unknown one as text after the number."""


def dashboard(name: str) -> Any:
    return dashboard_named(name)


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in dashboard(name)["panels"] if panel["type"] != "row"]


PANELS = [pytest.param(name, panel, id=f"{name}-{panel['id']}") for name in NAMES for panel in panels(name)]


def test_every_file_of_the_folder_is_pushed() -> None:
    stored = {file.name.removesuffix(".json") for file in files("dashboards").iterdir() if file.name.endswith(".json")}

    assert stored == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_dashboard_has_a_fixed_uid_and_no_id(name: str) -> None:
    held = dashboard(name)

    assert held["uid"] == f"sluice-{name}"
    assert held["title"] == f"Sluice / {name.capitalize()}"
    assert held["id"] is None
    assert held["schemaVersion"] == 42


@pytest.mark.parametrize("name", NAMES)
def test_dashboards_share_tags_links_and_time_settings(name: str) -> None:
    first, held = dashboard(NAMES[0]), dashboard(name)
    shared = ("tags", "links", "refresh", "time", "timepicker", "timezone", "graphTooltip", "annotations")

    assert {key: held[key] for key in shared} == {key: first[key] for key in shared}
    assert held["refresh"] == "5s"


@pytest.mark.parametrize("name", NAMES)
def test_panel_ids_are_unique(name: str) -> None:
    ids = [panel["id"] for panel in dashboard(name)["panels"]]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("name", NAMES)
def test_panel_titles_are_unique(name: str) -> None:
    twice = [title for title, count in Counter(panel["title"] for panel in panels(name)).items() if count > 1]

    assert twice == []


@pytest.mark.parametrize("name", NAMES)
def test_panels_do_not_overlap(name: str) -> None:
    taken: dict[tuple[int, int], str] = {}

    for panel in dashboard(name)["panels"]:
        position = panel["gridPos"]
        columns, lines = (
            range(position["x"], position["x"] + position["w"]),
            range(position["y"], position["y"] + position["h"]),
        )
        for cell in itertools.product(columns, lines):
            assert cell not in taken, f"{panel['title']} overlaps {taken[cell]}"
            taken[cell] = panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_every_row_of_the_grid_is_filled(name: str) -> None:
    widths: Counter[int] = Counter()
    for panel in dashboard(name)["panels"]:
        widths[panel["gridPos"]["y"]] += panel["gridPos"]["w"]

    assert set(widths.values()) == {WIDTH}


@pytest.mark.parametrize("name", NAMES)
def test_first_row_has_six_stat_panels(name: str) -> None:
    top = [panel for panel in panels(name) if panel["gridPos"]["y"] == 0]

    assert [panel["type"] for panel in top] == ["stat"] * 6


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_panel_has_a_description_and_a_known_unit(name: str, panel: dict[str, Any]) -> None:
    assert len(panel["description"]) > MIN_DESCRIPTION
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"] in UNITS


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_unit_of_an_overridden_column_is_known(name: str, panel: dict[str, Any]) -> None:
    properties = [prop for override in panel["fieldConfig"]["overrides"] for prop in override["properties"]]

    assert {prop["value"] for prop in properties if prop["id"] == "unit"} <= UNITS.keys()


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_panel_queries_the_selected_data_source(name: str, panel: dict[str, Any]) -> None:
    selected = {"type": PLUGIN, "uid": "${DS}"}

    assert panel["datasource"] == selected
    assert [target["datasource"] for target in panel["targets"]] == [selected] * len(panel["targets"])
    assert dashboard(name)["templating"]["list"][0]["name"] == "DS"


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_format_of_a_query_suits_its_panel(name: str, panel: dict[str, Any]) -> None:
    drawn = {"timeseries": {0}, "state-timeline": {0}, "table": {1}, "stat": {0, 1}}[panel["type"]]

    for target in panel["targets"]:
        assert target["format"] in drawn
        assert target["queryType"] == {0: "timeseries", 1: "table"}[target["format"]]


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_panel_uses_only_variables_of_its_dashboard(name: str, panel: dict[str, Any]) -> None:
    known = {variable["name"] for variable in dashboard(name)["templating"]["list"]}

    used = {variable for target in panel["targets"] for variable in re.findall(r"\$\{?(?!__)(\w+)", target["rawSql"])}

    assert used <= known


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_override_names_a_column_of_its_query(name: str, panel: dict[str, Any]) -> None:
    sql = " ".join(target["rawSql"] for target in panel["targets"])

    for override in panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["id"] == "byName"
        assert re.search(rf"\b{re.escape(override['matcher']['options'])}\b", sql)


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_time_macros_are_only_used_in_their_ms_form(name: str, panel: dict[str, Any]) -> None:
    """The plugin also replaces ``$__fromTime`` inside ``$__fromTime_ms``."""
    for target in panel["targets"]:
        assert not re.search(r"\$__(fromTime|toTime)\b", target["rawSql"])


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_to_existing_dashboards(name: str) -> None:
    uids = {dashboard(other)["uid"] for other in NAMES}

    for panel in panels(name):
        for override in panel["fieldConfig"]["overrides"]:
            for prop in override["properties"]:
                if prop["id"] == "links":
                    assert {link["url"].split("?")[0].removeprefix("/d/") for link in prop["value"]} <= uids


def test_dashboards_select_the_provisioned_data_source() -> None:
    source = provisioning_file("datasources")["datasources"][0]

    for name in NAMES:
        assert dashboard(name)["templating"]["list"][0]["current"] == {"text": source["name"], "value": source["uid"]}
        assert dashboard(name)["templating"]["list"][0]["query"] == source["type"] == PLUGIN


def test_provisioning_file_takes_credentials_from_variables() -> None:
    source = provisioning_file("datasources")["datasources"][0]

    assert re.fullmatch(r"\$\{\w+\}", source["secureJsonData"]["password"])
    assert re.fullmatch(r"\$\{\w+\}", source["jsonData"]["username"])


def test_provisioned_and_pushed_dashboards_share_a_folder() -> None:
    provider = provisioning_file("dashboards")["providers"][0]

    assert (provider["folder"], provider["folderUid"]) == ("Sluice", "sluice")
    assert {group["folder"] for group in provisioning_file("alerting")["groups"]} == {"Sluice"}
