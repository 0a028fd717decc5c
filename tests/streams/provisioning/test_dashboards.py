from __future__ import annotations

from collections.abc import Iterator

import pytest

from connectors.grafana.errors import GrafanaRefusedError
from streams.provisioning.dashboards import Pushed, datasource, push
from tests.connectors.grafana_double import TOKEN, GrafanaDouble


@pytest.fixture
def double() -> Iterator[GrafanaDouble]:
    grafana = GrafanaDouble()
    yield grafana
    grafana.close()


def test_push_creates_folder_data_source_dashboards_and_rules(double: GrafanaDouble) -> None:
    done = push(double.url, TOKEN)

    assert {pushed.change for pushed in done} == {"created"}
    assert set(double.folders) == {"sluice"}
    assert set(double.datasources) == {"sluice-clickhouse"}
    assert set(double.dashboards) == {"sluice-traffic", "sluice-providers", "sluice-pipeline"}
    assert {rule["folderUID"] for rule in double.rules.values()} == {"sluice"}


def test_second_push_writes_nothing(double: GrafanaDouble) -> None:
    push(double.url, TOKEN)
    double.writes.clear()

    again = push(double.url, TOKEN)

    assert {pushed.change for pushed in again} == {"unchanged"}
    assert double.writes == []


def test_progress_is_called_for_each_pushed_object(double: GrafanaDouble) -> None:
    heard: list[Pushed] = []

    done = push(double.url, TOKEN, progress=heard.append)

    assert heard == done
    assert done[2] == Pushed("dashboard", "Sluice / Traffic", "created", f"{double.url}/d/sluice-traffic")


def test_refused_push_changes_nothing(double: GrafanaDouble) -> None:
    with pytest.raises(GrafanaRefusedError):
        push(double.url, "glsa_other")

    assert double.writes == []


def test_rules_use_the_pushed_data_source(double: GrafanaDouble) -> None:
    push(double.url, TOKEN)

    asked = {query["datasourceUid"] for rule in double.rules.values() for query in rule["data"]}

    assert asked - {"__expr__"} == set(double.datasources)


def test_rule_names_a_panel_of_a_pushed_dashboard(double: GrafanaDouble) -> None:
    push(double.url, TOKEN)

    for rule in double.rules.values():
        dashboard = double.dashboards[rule["annotations"]["__dashboardUid__"]]["dashboard"]
        assert int(rule["annotations"]["__panelId__"]) in {panel["id"] for panel in dashboard["panels"]}


@pytest.mark.parametrize(
    ("url", "place", "password"),
    [
        ("http://127.0.0.1:8123", ("127.0.0.1", 8123, False, "default"), ""),
        ("https://reader:p%40ss@ch.example", ("ch.example", 8443, True, "reader"), "p@ss"),
        ("http://ch", ("ch", 8123, False, "default"), ""),
    ],
)
def test_data_source_has_the_address_of_clickhouse(url: str, place: tuple[str, int, bool, str], password: str) -> None:
    source = datasource(url, "sluice")

    settings = source["jsonData"]
    assert isinstance(settings, dict)
    assert (settings["host"], settings["port"], settings["secure"], settings["username"]) == place
    assert source["secureJsonData"] == {"password": password}
    assert source["uid"] == "sluice-clickhouse"


def test_clickhouse_password_is_secret_in_grafana(double: GrafanaDouble) -> None:
    done = push(double.url, TOKEN, clickhouse_url="http://reader:hunter2@clickhouse:8123")

    assert "hunter2" not in repr(done)
    assert "hunter2" not in repr(double.datasources)
