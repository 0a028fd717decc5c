from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.grafana.client import Grafana
from connectors.grafana.errors import (
    GrafanaAddressError,
    GrafanaConflictError,
    GrafanaError,
    GrafanaFailedError,
    GrafanaInvalidError,
    GrafanaMissingError,
    GrafanaRefusedError,
)
from tests.connectors.grafana_double import TOKEN, GrafanaDouble

DASHBOARD: dict[str, Any] = {"id": None, "uid": "d", "title": "D", "panels": [{"id": 1, "type": "stat"}], "version": 3}
RULE: dict[str, Any] = {
    "uid": "r",
    "title": "R",
    "condition": "C",
    "for": "2m",
    "data": [{"refId": "C", "datasourceUid": "__expr__", "model": {"type": "threshold"}}],
    "labels": {"severity": "page"},
    "annotations": {"summary": "S"},
    "dashboardUid": "d",
    "panelId": 4,
}
DATASOURCE: dict[str, Any] = {
    "uid": "s",
    "name": "S",
    "type": "grafana-clickhouse-datasource",
    "access": "proxy",
    "jsonData": {"host": "clickhouse"},
    "secureJsonData": {"password": "p"},
}


@pytest.fixture
def double() -> Iterator[GrafanaDouble]:
    grafana = GrafanaDouble()
    yield grafana
    grafana.close()


@pytest.fixture
def grafana(double: GrafanaDouble) -> Grafana:
    return Grafana(double.url, TOKEN, timeout_s=5)


@pytest.fixture
def folder(grafana: Grafana) -> str:
    grafana.ensure_folder("sluice", "Sluice")
    return "sluice"


@pytest.mark.parametrize("auth", [TOKEN, f" {TOKEN}\n", "admin:secret"])
def test_token_and_password_are_both_accepted(double: GrafanaDouble, auth: str) -> None:
    change = Grafana(double.url + "/", auth).ensure_folder("sluice", "Sluice")

    assert change == "created"


def test_folder_is_created_once_and_keeps_an_edited_name(double: GrafanaDouble, grafana: Grafana) -> None:
    grafana.ensure_folder("sluice", "Sluice")
    double.folders["sluice"]["title"] = "Our gateway"

    again = grafana.ensure_folder("sluice", "Sluice")

    assert again == "unchanged"
    assert double.folders["sluice"]["title"] == "Our gateway"


def test_taken_folder_name_is_a_conflict(grafana: Grafana, folder: str) -> None:
    with pytest.raises(GrafanaConflictError, match="already exists"):
        grafana.ensure_folder("other", "Sluice")


def test_data_source_is_created_once_and_keeps_edits(double: GrafanaDouble, grafana: Grafana) -> None:
    first = grafana.ensure_datasource(DATASOURCE)
    double.datasources["s"]["jsonData"]["host"] = "elsewhere"

    again = grafana.ensure_datasource(DATASOURCE)

    assert (first, again) == ("created", "unchanged")
    assert double.datasources["s"]["jsonData"]["host"] == "elsewhere"


def test_dashboard_pushed_twice_is_written_once(double: GrafanaDouble, grafana: Grafana, folder: str) -> None:
    first = grafana.push_dashboard(DASHBOARD, folder)

    again = grafana.push_dashboard(DASHBOARD, folder)

    assert (first, again) == ("created", "unchanged")
    assert double.writes.count("POST dashboards/db") == 1


@pytest.mark.parametrize(
    "edited", [{"title": "E"}, {"panels": []}, {"panels": [{"id": 1, "type": "table"}]}, {"refresh": "5s"}]
)
def test_changed_dashboard_replaces_the_one_with_its_uid(
    double: GrafanaDouble, grafana: Grafana, folder: str, edited: dict[str, Any]
) -> None:
    grafana.push_dashboard(DASHBOARD, folder)

    change = grafana.push_dashboard({**DASHBOARD, **edited}, folder)

    assert change == "updated"
    assert double.dashboards["d"]["dashboard"] == {**DASHBOARD, **edited, "id": 7, "version": 2}


def test_dashboard_edited_in_grafana_is_restored(double: GrafanaDouble, grafana: Grafana, folder: str) -> None:
    grafana.push_dashboard(DASHBOARD, folder)
    double.dashboards["d"]["dashboard"]["title"] = "Mine"

    change = grafana.push_dashboard(DASHBOARD, folder)

    assert change == "updated"
    assert double.dashboards["d"]["dashboard"]["title"] == "D"


def test_moved_dashboard_returns_to_its_folder(double: GrafanaDouble, grafana: Grafana, folder: str) -> None:
    grafana.push_dashboard(DASHBOARD, folder)
    double.dashboards["d"]["meta"]["folderUid"] = "elsewhere"

    change = grafana.push_dashboard(DASHBOARD, folder)

    assert change == "updated"
    assert double.dashboards["d"]["meta"]["folderUid"] == folder


def test_defaults_added_by_grafana_are_no_change(double: GrafanaDouble, grafana: Grafana, folder: str) -> None:
    grafana.push_dashboard(DASHBOARD, folder)
    double.dashboards["d"]["dashboard"]["panels"][0]["pluginVersion"] = "12.4.0"

    assert grafana.push_dashboard(DASHBOARD, folder) == "unchanged"


def test_provisioned_dashboard_is_refused_with_grafanas_message(
    double: GrafanaDouble, grafana: Grafana, folder: str
) -> None:
    double.from_files.add("d")

    with pytest.raises(GrafanaInvalidError, match="Cannot save provisioned dashboard"):
        grafana.push_dashboard(DASHBOARD, folder)


def test_alert_rule_pushed_twice_is_written_once_and_stays_editable(
    double: GrafanaDouble, grafana: Grafana, folder: str
) -> None:
    first = grafana.push_alert_rule(RULE, "sluice", folder)

    again = grafana.push_alert_rule(RULE, "sluice", folder)

    assert (first, again) == ("created", "unchanged")
    assert double.provenance == ""
    assert [write for write in double.writes if "alert-rules" in write] == ["POST v1/provisioning/alert-rules"]


def test_alert_rule_names_its_panel_in_annotations(double: GrafanaDouble, grafana: Grafana, folder: str) -> None:
    grafana.push_alert_rule(RULE, "sluice", folder)

    held = double.rules["r"]

    assert held["annotations"] == {"summary": "S", "__dashboardUid__": "d", "__panelId__": "4"}
    assert (held["ruleGroup"], held["folderUID"]) == ("sluice", folder)
    assert "panelId" not in held


def test_changed_alert_rule_stays_paused_and_keeps_its_notifications(
    double: GrafanaDouble, grafana: Grafana, folder: str
) -> None:
    grafana.push_alert_rule(RULE, "sluice", folder)
    double.rules["r"] |= {"isPaused": True, "notification_settings": {"receiver": "on-call"}}

    change = grafana.push_alert_rule({**RULE, "for": "5m"}, "sluice", folder)

    assert change == "updated"
    assert double.rules["r"]["for"] == "5m"
    assert double.rules["r"]["isPaused"] is True
    assert double.rules["r"]["notification_settings"] == {"receiver": "on-call"}


def test_rejected_alert_rule_has_grafanas_message(grafana: Grafana, folder: str) -> None:
    with pytest.raises(GrafanaInvalidError, match="no condition"):
        grafana.push_alert_rule({key: value for key, value in RULE.items() if key != "condition"}, "sluice", folder)


def test_wrong_token_is_an_error_without_the_token(double: GrafanaDouble) -> None:
    wrong = f"glsa_{0xBAD}"  # a traceback quotes this file: the token stands in no line of it

    with pytest.raises(GrafanaRefusedError, match="Grafana rejects the token") as caught:
        Grafana(double.url, wrong).check()

    assert wrong not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("auth", ["", "  ", "two words", "glsa_\x00", "tøken"])
def test_malformed_token_is_an_error_before_any_request(auth: str) -> None:
    with pytest.raises(GrafanaRefusedError) as caught:
        Grafana("http://127.0.0.1:1", auth)

    assert not auth.strip() or auth not in str(caught.value)


def test_missing_plugin_is_an_error_before_any_push(double: GrafanaDouble, grafana: Grafana) -> None:
    double.plugins.clear()

    with pytest.raises(GrafanaMissingError, match="grafana cli plugins install grafana-clickhouse-datasource"):
        grafana.check()


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (400, GrafanaInvalidError, "rejects the request"),
        (403, GrafanaRefusedError, "Admin"),
        (404, GrafanaMissingError, "does not exist"),
        (409, GrafanaConflictError, "has this name"),
        (412, GrafanaConflictError, "has this name"),
        (413, GrafanaInvalidError, "413"),
        (422, GrafanaInvalidError, "422"),
        (500, GrafanaFailedError, "see its log"),
        (502, GrafanaFailedError, "502"),
        (504, GrafanaFailedError, "504"),
    ],
)
def test_each_status_is_one_sentence_with_grafanas_message(
    double: GrafanaDouble, grafana: Grafana, status: int, kind: type[GrafanaError], words: str
) -> None:
    double.always = (status, {"message": "its words"})

    with pytest.raises(kind) as caught:
        grafana.push_alert_rule(RULE, "sluice", "sluice") if status != 404 else grafana.ensure_folder("x", "X")

    assert words in str(caught.value)
    assert f"({status}: its words)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("body", ["<html>", "", "[1]", '{"message": null}'])
def test_error_without_a_message_is_a_sentence(double: GrafanaDouble, grafana: Grafana, body: str) -> None:
    double.always = (503, body)

    with pytest.raises(GrafanaFailedError, match="503"):
        grafana.ensure_folder("x", "X")


@pytest.mark.parametrize("body", ["<html>not Grafana</html>", "{}", "", "[]"])
def test_server_that_is_not_grafana_is_an_error(double: GrafanaDouble, grafana: Grafana, body: str) -> None:
    double.always = body

    with pytest.raises(GrafanaAddressError, match="is not Grafana"):
        grafana.check()


def test_redirect_is_not_followed_with_the_token(double: GrafanaDouble, grafana: Grafana) -> None:
    double.always, double.headers = (302, ""), {"Location": "https://grafana.example/login"}

    with pytest.raises(GrafanaAddressError, match=r"redirects to https://grafana\.example/login"):
        grafana.ensure_folder("x", "X")


def test_refused_connection_is_a_sentence_with_the_address() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(GrafanaAddressError, match=url):
            Grafana(url, TOKEN).check()


def test_request_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"

        with pytest.raises(GrafanaAddressError, match="in time"):
            Grafana(url, TOKEN, timeout_s=0.1).check()


@pytest.mark.parametrize("url", ["", "localhost:3000", "ftp://host", "http://", "/grafana"])
def test_invalid_address_is_an_error_with_an_example(url: str) -> None:
    with pytest.raises(GrafanaAddressError, match="http://host:3000"):
        Grafana(url, TOKEN)


def test_password_in_the_address_is_an_error_without_the_password() -> None:
    with pytest.raises(GrafanaAddressError) as caught:
        Grafana("http://admin:hunter2@host:3000", TOKEN)

    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "api"),
    [
        ("https://grafana.example", "https://grafana.example/api/"),
        ("http://[::1]:3000/", "http://[::1]:3000/api/"),
        ("https://example.com/ops/grafana/", "https://example.com/ops/grafana/api/"),
    ],
)
def test_each_form_of_address_reaches_the_api(url: str, api: str) -> None:
    grafana = Grafana(url, TOKEN)

    assert grafana._client.construct_api_url("") == api
