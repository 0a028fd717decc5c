"""Client of Grafana's HTTP API: folders, data sources, dashboards and alert rules. Every push is idempotent.

Every error is one sentence:

    GrafanaError
    ├── GrafanaAddressError     the address does not answer, or the answer is not Grafana's
    ├── GrafanaRefusedError     the login is wrong or lacks permission (401, 403)
    ├── GrafanaMissingError     the object does not exist (404)
    ├── GrafanaConflictError    another object has the same name (409, 412)
    ├── GrafanaInvalidError     the content of the request is rejected (any other 4xx)
    └── GrafanaFailedError      Grafana itself failed (5xx)

No message contains the token. The underlying client is grafana-api-client, which uses the ``/api`` routes; they are
deprecated from Grafana 13 on, and work. Only this module imports it.
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
"""Data source plugin that every panel uses. It is not part of Grafana and must be installed."""


class Grafana:
    """Grafana server with a login.

    ``auth`` is a service account's token, or ``user:password``. Every call waits at most ``timeout_s`` seconds to
    connect, and as long again for each response, and then raises ``GrafanaAddressError``. Nothing is retried: a push
    can be repeated, because it is idempotent.

    Raises:
        GrafanaAddressError: the address is not http or https, or contains a password.
        GrafanaRefusedError: ``auth`` is empty, or can't be sent in a header.

    """

    def __init__(self, url: str, auth: str, *, timeout_s: float = 10.0) -> None:
        address = _address(url)
        self.url = url.rstrip("/")
        self._client = GrafanaClient(
            _credentials(auth),
            host=f"[{address.hostname}]" if ":" in (address.hostname or "") else address.hostname,
            port=address.port,
            url_path_prefix=address.path.strip("/"),
            protocol=address.scheme,
        )
        # a redirect would turn a POST into a GET, and send the token to another host
        self._client.custom_requests_params = {"timeout": timeout_s, "allow_redirects": False}
        self._client.session.headers["X-Disable-Provenance"] = "true"  # otherwise the rules can't be edited in Grafana
        # the client's own errors lose the status, so ours are raised first
        self._client.session.hooks["response"] = [self._raise_for_status]

    def check(self) -> None:
        """Check that Grafana answers, accepts the login, and has the ClickHouse plugin.

        Raises:
            GrafanaMissingError: the plugin is missing, without which every panel is empty.

        """
        health = self._find("health")
        if health is None or "database" not in health:
            raise GrafanaAddressError(f"the server at {self.url} is not Grafana; check the address")
        if self._find("plugins", PLUGIN, "settings") is None:
            raise GrafanaMissingError(f"Grafana lacks a plugin: run `grafana cli plugins install {PLUGIN}`")

    def ensure_folder(self, uid: str, title: str) -> Change:
        """Create the folder if it is missing. An existing one keeps its name."""
        if self._find("folders", uid) is not None:
            return "unchanged"
        self._send("create", ("folders",), {"uid": uid, "title": title})
        return "created"

    def ensure_datasource(self, datasource: Mapping[str, object]) -> Change:
        """Create the data source if it is missing. An existing one is unchanged: its host may have been edited."""
        if self._find("datasources", "uid", str(datasource["uid"])) is not None:
            return "unchanged"
        self._send("create", ("datasources",), datasource)
        return "created"

    def push_dashboard(self, dashboard: Mapping[str, object], folder_uid: str) -> Change:
        """Create or replace the dashboard of this uid, in this folder. Its history in Grafana is kept.

        Raises:
            GrafanaInvalidError: for example, Grafana reads the same dashboard from a provisioning file.

        """
        found = self._find("dashboards", "uid", str(dashboard["uid"]))
        content = {key: value for key, value in dashboard.items() if key not in {"id", "version"}}
        wanted = {"dashboard": content, "meta": {"folderUid": folder_uid}}
        if found is not None and _contains(found, wanted):
            return "unchanged"
        body = {
            "dashboard": {**content, "id": None},
            "folderUid": folder_uid,
            "overwrite": True,
            "message": "sluice push",
        }
        self._send("create", ("dashboards", "db"), body)
        return "created" if found is None else "updated"

    def push_alert_rule(self, rule: Mapping[str, object], group: str, folder_uid: str) -> Change:
        """Create or update the rule of this uid. Fields that it does not set (paused, notifications) are unchanged.

        ``rule`` has the format of a provisioning file. A new group is evaluated every minute, Grafana's default.
        """
        path = ("v1", "provisioning", "alert-rules")
        found = self._find(*path, str(rule["uid"]))
        wanted = _as_api_rule(rule, group, folder_uid)
        if found is None:
            self._send("create", path, wanted)
            return "created"
        if _contains(found, wanted):
            return "unchanged"
        self._send("replace", (*path, str(rule["uid"])), {**found, **wanted})
        return "updated"

    def _find(self, *path: str) -> Json | None:
        try:
            return self._send("get", path)
        except GrafanaMissingError:
            return None

    def _send(self, verb: str, path: tuple[str, ...], body: Mapping[str, object] | None = None) -> Json:
        request = self._client  # indexing starts a new path each time: the client's objects keep theirs
        for part in path:
            request = request[part]
        try:
            response: Json = getattr(request, verb)(**(body or {}))
        except requests.exceptions.JSONDecodeError as error:
            raise GrafanaAddressError(f"the server at {self.url} is not Grafana; check the address") from error
        except requests.exceptions.Timeout as error:
            raise GrafanaAddressError(f"Grafana at {self.url} does not answer in time; check that it runs") from error
        except requests.exceptions.RequestException as error:
            kind = type(error).__name__
            raise GrafanaAddressError(f"Grafana can't be reached at {self.url} ({kind}); check that it runs") from error
        return response

    def _raise_for_status(self, response: requests.Response, **_: object) -> None:
        """Raise the error of a status that is not a success."""
        status = response.status_code
        if status < requests.codes.multiple_choices:
            return
        if status < requests.codes.bad_request:
            location = response.headers.get("Location", "another address")
            raise GrafanaAddressError(f"{self.url} redirects to {location}; use the address of Grafana itself")
        kind, sentence = _ERRORS.get(status) or _ERRORS[500 if status >= requests.codes.server_error else 400]
        raise kind(f"{sentence} ({status}: {_reason(response)})")


def _reason(response: requests.Response) -> str:
    """Return Grafana's message, if it has one."""
    try:
        body = response.json()
    except requests.exceptions.JSONDecodeError:
        body = None
    message = body.get("message", "") if isinstance(body, dict) else ""
    return str(message)[:300] or response.reason or "no reason given"


def _address(url: str) -> SplitResult:
    address = urlsplit(url)
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise GrafanaAddressError("Grafana's address must be a URL such as http://host:3000")
    if address.username or address.password:
        raise GrafanaAddressError("Grafana's address must not contain a login: pass user:password separately")
    return address


def _credentials(auth: str) -> str | tuple[bytes, bytes]:
    """Return the token, or user and password: a token has no colon."""
    auth = auth.strip()
    if not auth:
        raise GrafanaRefusedError("Grafana needs a service account token, or user:password")
    user, colon, password = auth.partition(":")
    if colon:
        return user.encode(), password.encode()
    if not (auth.isascii() and auth.isprintable()) or " " in auth:
        raise GrafanaRefusedError("the Grafana token has invalid characters; check that it was copied completely")
    return auth


def _as_api_rule(rule: Mapping[str, object], group: str, folder_uid: str) -> Json:
    """Convert a rule of a provisioning file for the API, where annotations name its panel."""
    wanted = {key: value for key, value in rule.items() if key not in {"dashboardUid", "panelId"}}
    annotations = dict(_mapping(rule.get("annotations")))
    if "dashboardUid" in rule:
        annotations |= {"__dashboardUid__": rule["dashboardUid"], "__panelId__": str(rule["panelId"])}
    return {**wanted, "annotations": annotations, "ruleGroup": group, "folderUID": folder_uid}


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _contains(existing: object, wanted: object) -> bool:
    """Return whether Grafana's object has all wanted values; Grafana adds its own defaults."""
    if isinstance(wanted, Mapping):
        return isinstance(existing, Mapping) and all(
            _contains(existing.get(key), value) for key, value in wanted.items()
        )
    if isinstance(wanted, list):
        return (
            isinstance(existing, list)
            and len(existing) == len(wanted)
            and all(_contains(one, other) for one, other in zip(existing, wanted, strict=True))
        )
    return existing == wanted
