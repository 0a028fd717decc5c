"""Grafana's HTTP API: folders, data sources, dashboards and alert rules, pushed as often as you like.

Every error is one sentence that says whose fault it is:

    GrafanaError
    ├── GrafanaAddressError     nobody answers there, or not as Grafana does
    ├── GrafanaRefusedError     it does not know us, or does not let us (401, 403)
    ├── GrafanaMissingError     it has no such thing (404)
    ├── GrafanaConflictError    something of the same name is in the way (409, 412)
    ├── GrafanaInvalidError     it does not take what was sent (any other 4xx)
    └── GrafanaFailedError      it is broken itself (5xx)

No message holds the token. The client underneath is grafana-api-client, which speaks the ``/api`` routes; they are
deprecated from Grafana 13 on, and work. Only this file knows of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal
from urllib.parse import SplitResult, urlsplit

import requests
from grafana_api_client import GrafanaClient

from connectors.grafana.errors import (
    _ERRORS,
    GrafanaAddressError,
    GrafanaMissingError,
    GrafanaRefusedError,
)

Json = dict[str, object]
Change = Literal["created", "updated", "unchanged"]

PLUGIN = "grafana-clickhouse-datasource"
"""The data source plugin that every panel asks through. Grafana must have it; it is not in the core."""


class Grafana:
    """One Grafana, and who we are there.

    ``auth`` is a service account's token, or ``user:password``. Every call waits at most ``timeout_s`` seconds to
    connect and as long again for each answer, then raises ``GrafanaAddressError``. Nothing is retried: whoever pushes
    can push again, since a second push changes nothing.

    Raises:
        GrafanaAddressError: the address is not an http or https one, or holds a password.
        GrafanaRefusedError: ``auth`` is empty or can't be sent in a header.

    """

    def __init__(self, url: str, auth: str, *, timeout_s: float = 10.0) -> None:
        where = _address(url)
        self.url = url.rstrip("/")
        self._client = GrafanaClient(
            _credentials(auth),
            host=f"[{where.hostname}]" if ":" in (where.hostname or "") else where.hostname,
            port=where.port,
            url_path_prefix=where.path.strip("/"),
            protocol=where.scheme,
        )
        # A redirect would turn a POST into a GET, and hand the token to wherever it points.
        self._client.custom_requests_params = {"timeout": timeout_s, "allow_redirects": False}
        self._client.session.headers["X-Disable-Provenance"] = "true"  # else the rules could not be edited in Grafana
        # The client's own errors lose the status; ours are raised before it looks.
        self._client.session.hooks["response"] = [self._judge]

    def check(self) -> None:
        """See that Grafana answers here, knows us, and can draw what we push.

        Raises:
            GrafanaMissingError: it lacks the ClickHouse plugin, without which every panel would stay empty.

        """
        health = self._find("health")
        if health is None or "database" not in health:
            raise GrafanaAddressError(f"{self.url} answers, but not as Grafana does; check the address")
        if self._find("plugins", PLUGIN, "settings") is None:
            raise GrafanaMissingError(f"Grafana lacks a plugin: run `grafana cli plugins install {PLUGIN}`")

    def ensure_folder(self, uid: str, title: str) -> Change:
        """See that the folder is there. One that somebody renamed keeps its name."""
        if self._find("folders", uid) is not None:
            return "unchanged"
        self._send("create", ("folders",), {"uid": uid, "title": title})
        return "created"

    def ensure_datasource(self, datasource: Mapping[str, object]) -> Change:
        """See that the data source is there. One that is there stays as it is: somebody may have set its host."""
        if self._find("datasources", "uid", str(datasource["uid"])) is not None:
            return "unchanged"
        self._send("create", ("datasources",), datasource)
        return "created"

    def push_dashboard(self, dashboard: Mapping[str, object], folder_uid: str) -> Change:
        """Make the dashboard of this uid be this one, in this folder. Its history in Grafana is kept.

        Raises:
            GrafanaInvalidError: among others when Grafana reads the same dashboard from a provisioning file.

        """
        found = self._find("dashboards", "uid", str(dashboard["uid"]))
        ours = {key: value for key, value in dashboard.items() if key not in {"id", "version"}}
        wanted = {"dashboard": ours, "meta": {"folderUid": folder_uid}}
        if found is not None and _holds(found, wanted):
            return "unchanged"
        body = {"dashboard": {**ours, "id": None}, "folderUid": folder_uid, "overwrite": True, "message": "sluice push"}
        self._send("create", ("dashboards", "db"), body)
        return "created" if found is None else "updated"

    def push_alert_rule(self, rule: Mapping[str, object], group: str, folder_uid: str) -> Change:
        """Make the rule of this uid be this one. What it does not say (paused, who is notified) stays as it is.

        ``rule`` has the form of a provisioning file. A new group is evaluated every minute, Grafana's default.
        """
        where = ("v1", "provisioning", "alert-rules")
        found = self._find(*where, str(rule["uid"]))
        wanted = _as_api_rule(rule, group, folder_uid)
        if found is None:
            self._send("create", where, wanted)
            return "created"
        if _holds(found, wanted):
            return "unchanged"
        self._send("replace", (*where, str(rule["uid"])), {**found, **wanted})
        return "updated"

    def _find(self, *path: str) -> Json | None:
        try:
            return self._send("get", path)
        except GrafanaMissingError:
            return None

    def _send(self, verb: str, path: tuple[str, ...], body: Mapping[str, object] | None = None) -> Json:
        request = self._client  # each step below starts a path afresh: the client's own objects remember theirs
        for part in path:
            request = request[part]
        try:
            answer: Json = getattr(request, verb)(**(body or {}))
        except requests.exceptions.JSONDecodeError as error:
            raise GrafanaAddressError(f"{self.url} answers, but not as Grafana does; check the address") from error
        except requests.exceptions.Timeout as error:
            raise GrafanaAddressError(f"Grafana at {self.url} does not answer in time; is it up?") from error
        except requests.exceptions.RequestException as error:
            kind = type(error).__name__
            raise GrafanaAddressError(f"Grafana can't be reached at {self.url} ({kind}); is it up?") from error
        return answer

    def _judge(self, response: requests.Response, **_: object) -> None:
        """Turn a status that is no success into an error of ours."""
        status = response.status_code
        if status < requests.codes.multiple_choices:
            return
        if status < requests.codes.bad_request:
            there = response.headers.get("Location", "elsewhere")
            raise GrafanaAddressError(f"{self.url} redirects to {there}; give the address where Grafana itself answers")
        kind, sentence = _ERRORS.get(status) or _ERRORS[500 if status >= requests.codes.server_error else 400]
        raise kind(f"{sentence} ({status}: {_reason(response)})")


def _reason(response: requests.Response) -> str:
    """Grafana's own words, if it has any."""
    try:
        said = response.json()
    except requests.exceptions.JSONDecodeError:
        said = None
    words = said.get("message", "") if isinstance(said, dict) else ""
    return str(words)[:300] or response.reason or "no reason given"


def _address(url: str) -> SplitResult:
    where = urlsplit(url)
    if where.scheme not in {"http", "https"} or not where.hostname:
        raise GrafanaAddressError("Grafana's address must look like http://host:3000")
    if where.username or where.password:
        raise GrafanaAddressError("addresses get shown: give user:password beside Grafana's address, not in it")
    return where


def _credentials(auth: str) -> str | tuple[bytes, bytes]:
    """A token, or user and password: no token holds a colon."""
    auth = auth.strip()
    if not auth:
        raise GrafanaRefusedError("Grafana needs a service account token, or user:password")
    user, colon, password = auth.partition(":")
    if colon:
        return user.encode(), password.encode()
    if not (auth.isascii() and auth.isprintable()) or " " in auth:
        raise GrafanaRefusedError("the Grafana token holds characters that no token has: was it copied whole?")
    return auth


def _as_api_rule(rule: Mapping[str, object], group: str, folder_uid: str) -> Json:
    """A rule of a provisioning file as the API wants it: there annotations name the panel that it belongs to."""
    wanted = {key: value for key, value in rule.items() if key not in {"dashboardUid", "panelId"}}
    annotations = dict(_mapping(rule.get("annotations")))
    if "dashboardUid" in rule:
        annotations |= {"__dashboardUid__": rule["dashboardUid"], "__panelId__": str(rule["panelId"])}
    return {**wanted, "annotations": annotations, "ruleGroup": group, "folderUID": folder_uid}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _holds(theirs: object, ours: object) -> bool:
    """Whether they have all that we say; Grafana adds defaults of its own."""
    if isinstance(ours, Mapping):
        return isinstance(theirs, Mapping) and all(_holds(theirs.get(key), value) for key, value in ours.items())
    if isinstance(ours, list):
        return (
            isinstance(theirs, list)
            and len(theirs) == len(ours)
            and all(_holds(their, our) for their, our in zip(theirs, ours, strict=True))
        )
    return theirs == ours
