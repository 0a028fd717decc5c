"""What `sluice dashboards push` does: folder, data source, dashboards and alert rules, into a Grafana."""

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
"""The folder's uid."""

NAMES = ("traffic", "providers", "pipeline")
"""The dashboards, in the order in which one looks at them."""

Kind = Literal["folder", "data source", "dashboard", "alert rule"]


@dataclass(frozen=True, slots=True)
class Pushed:
    """One thing that Grafana now has."""

    kind: Kind
    name: str
    change: Change
    url: str = ""
    """Where to look at it, for dashboards."""


def push(
    grafana_url: str,
    auth: str,
    *,
    clickhouse_url: str = "http://127.0.0.1:8123",
    database: str = "sluice",
    folder: str = "Sluice",
    progress: Callable[[Pushed], None] = lambda _: None,
) -> list[Pushed]:
    """Push everything; a second time nothing changes. What fails stops the rest, and a later push goes on.

    Args:
        grafana_url: for example ``http://localhost:3000``; a path is kept.
        auth: a service account's token with the Admin role, or ``user:password``.
        clickhouse_url: as Grafana reaches it, with ``user:password@`` if it needs one. Only used if Grafana has no data
            source ``sluice-clickhouse`` yet.
        database: where the tables are.
        folder: what a new folder is called. One that is there keeps its name.
        progress: told of each thing when it is done.

    Raises:
        GrafanaError: one sentence that says what to do. It never holds ``auth``.

    """
    grafana = Grafana(grafana_url, auth)
    grafana.check()
    done = []
    for pushed in _each(grafana, datasource(clickhouse_url, database), folder):
        progress(pushed)
        done.append(pushed)
    return done


def _each(grafana: Grafana, source: Json, folder: str) -> Iterator[Pushed]:
    yield Pushed("folder", folder, grafana.ensure_folder(FOLDER, folder))
    yield Pushed("data source", str(source["name"]), grafana.ensure_datasource(source))
    for dashboard in map(dashboard_named, NAMES):
        change = grafana.push_dashboard(dashboard, FOLDER)
        yield Pushed("dashboard", str(dashboard["title"]), change, f"{grafana.url}/d/{dashboard['uid']}")
    for group in provisioned("alerting")["groups"]:
        for rule in group["rules"]:
            yield Pushed("alert rule", rule["title"], grafana.push_alert_rule(rule, group["name"], FOLDER))


def dashboard_named(name: str) -> Json:
    """A dashboard as Grafana takes it."""
    loaded: Json = json.loads(files("dashboards").joinpath(f"{name}.json").read_text("utf-8"))
    return loaded


def provisioned(kind: Literal["datasources", "dashboards", "alerting"]) -> dict[str, Any]:
    """A provisioning file, as Grafana reads it at its start."""
    text = files("dashboards").joinpath("provisioning", kind, "sluice.yaml").read_text("utf-8")
    loaded: dict[str, Any] = yaml.safe_load(text)
    return loaded


def datasource(clickhouse_url: str, database: str) -> Json:
    """The data source of the provisioning file, at another address."""
    where = urlsplit(clickhouse_url)
    secure = where.scheme == "https"
    packaged = provisioned("datasources")["datasources"][0]
    place = {
        "host": where.hostname or "localhost",
        "port": where.port or (8443 if secure else 8123),
        "secure": secure,
        "defaultDatabase": database,
        "username": unquote(where.username or "default"),
    }
    return {
        **{key: value for key, value in packaged.items() if key not in {"editable", "isDefault"}},
        "jsonData": {**packaged["jsonData"], **place},
        "secureJsonData": {"password": unquote(where.password or "")},
    }
