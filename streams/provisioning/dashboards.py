"""Provisioning of Grafana: folder, data source, dashboards and alert rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import yaml

from connectors.grafana.client import Change, Grafana, Json

FOLDER = "sluice"
"""Uid of the folder."""

NAMES = ("traffic", "providers", "pipeline")
"""Dashboards, in reading order."""

Kind = Literal["folder", "data source", "dashboard", "alert rule"]


@dataclass(frozen=True, slots=True)
class Pushed:
    """Object that was pushed to Grafana."""

    kind: Kind
    name: str
    change: Change
    url: str = ""
    """URL of a dashboard; empty for other objects."""


def push(
    grafana_url: str,
    auth: str,
    *,
    clickhouse_url: str = "http://127.0.0.1:8123",
    database: str = "sluice",
    folder: str = "Sluice",
    progress: Callable[[Pushed], None] = lambda _: None,
) -> list[Pushed]:
    """Push everything. A second push changes nothing; a push after a failure continues.

    Args:
        grafana_url: for example ``http://localhost:3000``; a path is kept.
        auth: a service account's token with the Admin role, or ``user:password``.
        clickhouse_url: URL for Grafana, with ``user:password@`` if required. Only used if Grafana has no data source
            ``sluice-clickhouse`` yet.
        database: database of the tables.
        folder: name of a new folder. An existing one keeps its name.
        progress: callback for each pushed object.

    Raises:
        GrafanaError: one sentence that says what to do, without ``auth``.

    """
    grafana = Grafana(grafana_url, auth)
    grafana.check()
    done = []
    for pushed in _push_each(grafana, datasource(clickhouse_url, database), folder):
        progress(pushed)
        done.append(pushed)
    return done


def _push_each(grafana: Grafana, source: Json, folder: str) -> Iterator[Pushed]:
    yield Pushed("folder", folder, grafana.ensure_folder(FOLDER, folder))
    yield Pushed("data source", str(source["name"]), grafana.ensure_datasource(source))
    for dashboard in map(dashboard_named, NAMES):
        change = grafana.push_dashboard(dashboard, FOLDER)
        yield Pushed("dashboard", str(dashboard["title"]), change, f"{grafana.url}/d/{dashboard['uid']}")
    for group in provisioning_file("alerting")["groups"]:
        for rule in group["rules"]:
            yield Pushed("alert rule", rule["title"], grafana.push_alert_rule(rule, group["name"], FOLDER))


def dashboard_named(name: str) -> Json:
    """Return a dashboard as JSON for Grafana."""
    loaded: Json = json.loads(files("dashboards").joinpath(f"{name}.json").read_text("utf-8"))
    return loaded


def provisioning_file(kind: Literal["datasources", "dashboards", "alerting"]) -> dict[str, Any]:
    """Return the content of a provisioning file, which Grafana reads at its start."""
    text = files("dashboards").joinpath("provisioning", kind, "sluice.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def datasource(clickhouse_url: str, database: str) -> Json:
    """Return the data source of the provisioning file, with another address."""
    url = urlsplit(clickhouse_url)
    secure = url.scheme == "https"
    packaged = provisioning_file("datasources")["datasources"][0]
    address = {
        "host": url.hostname or "localhost",
        "port": url.port or (8443 if secure else 8123),
        "secure": secure,
        "defaultDatabase": database,
        "username": unquote(url.username or "default"),
    }
    return {
        **{key: value for key, value in packaged.items() if key not in {"editable", "isDefault"}},
        "jsonData": {**packaged["jsonData"], **address},
        "secureJsonData": {"password": unquote(url.password or "")},
    }
