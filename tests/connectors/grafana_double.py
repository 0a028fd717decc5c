"""A double of Grafana's HTTP API: a real server on loopback that keeps what it is given and answers as Grafana does.

It is no Grafana. Status codes and bodies follow Grafana 12: an unknown alert rule is a 404 without a body, a dashboard
that came from a file is a 400, a name that is taken a 409 or 412. It draws nothing and runs no query.
"""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "glsa_double_token"
USER, PASSWORD = "admin", "secret"

Answer = tuple[int, Any]


class GrafanaDouble:
    """Grafana's HTTP API in memory, with switches for its failures."""

    def __init__(self) -> None:
        self.folders: dict[str, Any] = {}
        self.datasources: dict[str, Any] = {}
        self.dashboards: dict[str, Any] = {}
        self.rules: dict[str, Any] = {}
        self.plugins = {"grafana-clickhouse-datasource"}
        self.from_files: set[str] = set()
        """Uids of dashboards that Grafana reads from provisioning files."""
        self.writes: list[str] = []
        """Method and path of every request that changed something."""
        self.always: Answer | str | None = None
        """Give this to every request instead: a status and body, or bare text."""
        self.headers: dict[str, str] = {}
        """Sent with ``always``."""
        self.provenance = "api"
        """As Grafana would have it after the last write of a rule."""
        double = self

        class Handler(_Handler):
            grafana = double

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, method: str, path: tuple[str, ...], body: Any, headers: dict[str, str]) -> Answer:
        if path == ("health",):
            return 200, {"database": "ok", "version": "12.4.0"}
        if not _authorized(headers):
            return 401, {"message": "Invalid API key", "messageId": "api-key.invalid", "statusCode": 401}
        return self._read(path) if method == "GET" else self._write(method, path, body, headers)

    def _read(self, path: tuple[str, ...]) -> Answer:
        match path:
            case ("plugins", plugin, "settings"):
                return (200, {"id": plugin}) if plugin in self.plugins else (404, {"message": "Plugin not found"})
            case ("folders", uid):
                return _found(self.folders, uid, {"message": "folder not found", "status": "not-found"})
            case ("datasources", "uid", uid):
                return _found(self.datasources, uid, {"message": "Data source not found"})
            case ("dashboards", "uid", uid):
                return _found(self.dashboards, uid, {"message": "Dashboard not found"})
            case ("v1", "provisioning", "alert-rules", uid):
                return _found(self.rules, uid, None)
        return 404, {"message": "Not found"}

    def _write(self, method: str, path: tuple[str, ...], body: Any, headers: dict[str, str]) -> Answer:
        match method, path:
            case "POST", ("folders",):
                return self._new_folder(body)
            case "POST", ("datasources",):
                return self._new_datasource(body)
            case "POST", ("dashboards", "db"):
                return self._save_dashboard(body)
            case "POST", ("v1", "provisioning", "alert-rules"):
                return self._save_rule(body, headers, 201)
            case "PUT", ("v1", "provisioning", "alert-rules", uid):
                return self._save_rule({**body, "uid": uid}, headers, 200) if uid in self.rules else (404, None)
        return 404, {"message": "Not found"}

    def _new_folder(self, body: Any) -> Answer:
        if any(folder["title"] == body["title"] for folder in self.folders.values()):
            return 409, {"message": "a folder with the same name already exists in the current location"}
        self.folders[body["uid"]] = {"id": len(self.folders) + 1, **body}
        return 200, self.folders[body["uid"]]

    def _new_datasource(self, body: Any) -> Answer:
        if any(source["name"] == body["name"] for source in self.datasources.values()):
            return 409, {"message": "data source with the same name already exists"}
        secrets = dict.fromkeys(body.get("secureJsonData", {}), True)
        shown = {key: value for key, value in body.items() if key != "secureJsonData"}
        self.datasources[body["uid"]] = {"id": 1, "readOnly": False, **shown, "secureJsonFields": secrets}
        return 200, {"datasource": self.datasources[body["uid"]], "message": "Datasource added"}

    def _save_dashboard(self, body: Any) -> Answer:
        dashboard = body["dashboard"]
        uid = dashboard["uid"]
        if body["folderUid"] not in self.folders:
            return 400, {"message": "folder not found"}
        if uid in self.from_files:
            return 400, {"message": "Cannot save provisioned dashboard"}
        known = self.dashboards.get(uid)
        if known and not body["overwrite"] and known["dashboard"]["version"] != dashboard.get("version"):
            return 412, {"status": "version-mismatch", "message": "The dashboard has been changed by someone else"}
        version = known["dashboard"]["version"] + 1 if known else 1
        stored = {**dashboard, "id": 7, "version": version}
        self.dashboards[uid] = {"dashboard": stored, "meta": {"folderUid": body["folderUid"], "version": version}}
        return 200, {"id": 7, "uid": uid, "url": f"/d/{uid}", "status": "success", "version": version}

    def _save_rule(self, body: Any, headers: dict[str, str], status: int) -> Answer:
        missing = {"title", "ruleGroup", "folderUID", "condition", "data", "for"} - body.keys()
        if missing:
            return 400, {"message": f"invalid alert rule: no {', '.join(sorted(missing))}"}
        if any(rule["title"] == body["title"] and uid != body["uid"] for uid, rule in self.rules.items()):
            return 400, {"message": "rule title must be unique in the folder"}
        self.provenance = "" if "x-disable-provenance" in headers else "api"
        known = {"isPaused": False, **body, "id": 1, "provenance": self.provenance}
        for query in known["data"]:
            query["model"] = {"intervalMs": 1000, "maxDataPoints": 43200, **query["model"]}
        self.rules[body["uid"]] = known
        return status, known


class _Handler(BaseHTTPRequestHandler):
    grafana: GrafanaDouble
    protocol_version = "HTTP/1.1"

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length) or "{}")
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = tuple(self.path.split("?")[0].removeprefix("/api/").split("/"))
        if self.grafana.always is not None:
            mood = self.grafana.always
            status, answer = (200, mood) if isinstance(mood, str) else mood
            return self._send(status, answer, self.grafana.headers)
        status, answer = self.grafana.answer(self.command, path, body, headers)
        if self.command != "GET" and status < 300:
            self.grafana.writes.append(f"{self.command} {'/'.join(path)}")
        return self._send(status, answer, {})

    def _send(self, status: int, answer: Any, headers: dict[str, str]) -> None:
        text = answer if isinstance(answer, str) else "" if answer is None else json.dumps(answer)
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text.encode()))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - the server's own names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its signature
        """Say nothing."""


def _found(things: dict[str, Any], uid: str, otherwise: Any) -> Answer:
    return (200, things[uid]) if uid in things else (404, otherwise)


def _authorized(headers: dict[str, str]) -> bool:
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    return headers.get("authorization") in {f"Bearer {TOKEN}", f"Basic {basic}"}
