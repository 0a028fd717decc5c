"""Read-only HTTP interface of ClickHouse over chDB, on loopback only.

With readers configured, a request needs the key of one and sees the rows of its tenants. Without, every process that
can connect to loopback can read. Web pages cannot: the Host header must be a loopback address, a request from a page of
another origin is refused, and a browser does not run a response as a script.
"""

from __future__ import annotations

import asyncio
import json
import socket
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.clickhouse import CHDB_OPTIONS
from connectors.clickhouse.embedded.credentials import Readers, visible_tenants
from connectors.clickhouse.embedded.query_guard import ACCESS_DENIED, SYNTAX_ERROR, QueryError
from connectors.clickhouse.embedded.read_only import QueryResult, ReadOnlyEngine

MAX_RUNNING_QUERIES = 4
"""Queries that run in parallel."""
MAX_WAITING_QUERIES = 64
"""Queries that may wait; one more is refused."""
MAX_QUERY_BYTES = 1024 * 1024

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
_ALLOWED_FETCH_SITES = frozenset({"none", "same-origin"})
_RESERVED_PARAMETERS = frozenset(
    {
        *("query", "default_format", "database", "user", "password", "quota_key", "role", "readonly"),
        *("query_id", "session_id", "session_timeout", "session_check", "client_protocol_version", "buffer_size"),
        *("compress", "decompress", "enable_http_compression", "wait_end_of_query", "send_progress_in_http_headers"),
        *("http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close"),
    }
)
"""URL parameters that are not settings of a query."""

_BAD_REQUEST = frozenset({6, 26, 27, 36, 38, 41, 42, 43, 44, 53, 62, 70, 72, 117, 130, 131, 158, 386, 456, 457})
_NOT_FOUND = frozenset({8, 16, 46, 47, 50, 56, 60, 63, 73, 78, 81, 115, 336})
_STATUS = {159: 408, 164: 403, 202: 503, 497: 403, 516: 403, 48: 501}
_CONTENT = {
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8",
    "CSVWithNames": "text/csv; charset=UTF-8",
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "Native": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "RowBinary": "application/octet-stream",
}


class ClickHouseHttp:
    """Routes of the endpoint. Queries run in threads, so that they do not block the event loop."""

    def __init__(
        self,
        path: Path,
        database: str,
        options: Mapping[str, str] = CHDB_OPTIONS,
        readers: Readers | None = None,
    ) -> None:
        self._readers = readers
        self._engine = ReadOnlyEngine(path, database, options)
        self._threads = ThreadPoolExecutor(MAX_RUNNING_QUERIES, "clickhouse-http")
        self._pending = 0
        self.app = Starlette(
            routes=[
                Route("/ping", self._ping, methods=["GET", "HEAD"]),
                Route("/replicas_status", self._ping, methods=["GET"]),
                Route("/", self._root, methods=["GET", "HEAD", "POST"]),
            ]
        )

    async def _ping(self, _: Request) -> Response:
        return Response("Ok.\n", media_type="text/plain; charset=UTF-8")

    async def _root(self, request: Request) -> Response:
        try:
            _check_caller(request.headers)
            tenants = visible_tenants(self._readers, request.headers, request.query_params)
            sql = await _query(request)
            if not sql:
                return Response("Ok.\n", media_type="text/plain; charset=UTF-8")
            return _response(await self._run(sql, request, tenants), request)
        except QueryError as error:
            return _refusal(error)

    async def _run(self, sql: str, request: Request, tenants: list[str] | None) -> QueryResult:
        if self._pending >= MAX_RUNNING_QUERIES + MAX_WAITING_QUERIES:
            raise QueryError.in_engine_format(202, "TOO_MANY_SIMULTANEOUS_QUERIES", "Too many queries are waiting")
        url = request.query_params
        if url.get("compress", "0") != "0" or url.get("decompress", "0") != "0":
            raise QueryError.in_engine_format(
                48, "NOT_IMPLEMENTED", "Block compression is not supported here; leave out compress"
            )
        fmt = request.headers.get("x-clickhouse-format") or url.get("default_format") or "TabSeparated"
        database = request.headers.get("x-clickhouse-database") or url.get("database", "")
        parameters = {name[6:]: value for name, value in url.items() if name.startswith("param_")}
        settings = {
            name: value
            for name, value in url.items()
            if name not in _RESERVED_PARAMETERS and not name.startswith("param_")
        }
        self._pending += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(
                self._threads,
                lambda: self._engine.run(sql, fmt, database, settings, parameters, tenants=tenants),
            )
        finally:
            self._pending -= 1

    def warm_up(self) -> None:
        """Keep the engine open and run one query, so that everything that is loaded on first use is loaded."""
        self._engine.keep_open()
        self._engine.run("SELECT 1", "JSON")

    def cancel(self) -> None:
        """Cancel running queries, and start no more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._engine.cancel()


def make_server(http: ClickHouseHttp) -> uvicorn.Server:
    """Return a server for the routes, with everything loaded that it needs."""
    config = uvicorn.Config(
        http.app,
        log_config=None,
        access_log=False,
        lifespan="off",
        loop="asyncio",
        ws="none",
        timeout_graceful_shutdown=2,
    )
    config.load()
    return _Server(config, http)


class _Server(uvicorn.Server):
    """Server that cancels running queries before it waits for their responses: a client can repeat a query."""

    def __init__(self, config: uvicorn.Config, http: ClickHouseHttp) -> None:
        super().__init__(config)
        self._http = http

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.to_thread(self._http.cancel)
        await super().shutdown(sockets)


def _check_caller(headers: Headers) -> None:
    """Check that the request does not come from a web page of another origin, through a browser on this machine.

    Raises:
        QueryError: it does, or the address that it names is not a loopback address.

    """
    if not _is_loopback(headers.get("host", "")):
        raise QueryError.in_engine_format(
            ACCESS_DENIED, "ACCESS_DENIED", "This endpoint answers to loopback addresses only"
        )
    origin = headers.get("origin")
    is_foreign = origin is not None and not _is_loopback(origin.partition("://")[2])
    if is_foreign or headers.get("sec-fetch-site", "none") not in _ALLOWED_FETCH_SITES:
        raise QueryError.in_engine_format(
            ACCESS_DENIED, "ACCESS_DENIED", "This endpoint does not answer to web pages of other origins"
        )


def _is_loopback(host: str) -> bool:
    return host.removesuffix(f":{host.rpartition(':')[2]}") in _LOOPBACK or host in _LOOPBACK


async def _query(request: Request) -> str:
    """Return the statement from the URL, the body, or both, joined in this order."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_QUERY_BYTES:
            raise QueryError.in_engine_format(
                SYNTAX_ERROR, "SYNTAX_ERROR", f"The query is longer than {MAX_QUERY_BYTES} bytes"
            )
    if request.headers.get("content-encoding", "identity") != "identity":
        raise QueryError.in_engine_format(48, "NOT_IMPLEMENTED", "Compressed queries are not supported here")
    try:
        return "\n".join(part for part in (request.query_params.get("query", ""), body.decode()) if part.strip())
    except UnicodeDecodeError:
        raise QueryError.in_engine_format(SYNTAX_ERROR, "SYNTAX_ERROR", "The query is not UTF-8") from None


def _response(answer: QueryResult, request: Request) -> Response:
    summary = {"read_rows": answer.rows_read, "read_bytes": answer.bytes_read, "elapsed_ns": answer.elapsed_ns}
    headers = {
        "Content-Type": _CONTENT.get(answer.format, "text/plain; charset=UTF-8"),
        "X-ClickHouse-Format": answer.format,
        "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
    }
    return Response(answer.content, headers=headers | _common(request.query_params))


def _refusal(error: QueryError) -> Response:
    status = _STATUS.get(error.code) or (
        400 if error.code in _BAD_REQUEST else 404 if error.code in _NOT_FOUND else 500
    )
    headers = {"X-ClickHouse-Exception-Code": str(error.code), "Content-Type": "text/plain; charset=UTF-8"}
    return Response(f"{error}\n", status, headers | _common({}))


def _common(url: Mapping[str, str]) -> dict[str, str]:
    query_id = url.get("query_id", "")
    return {
        "X-ClickHouse-Server-Display-Name": "sluice (chDB)",
        "X-ClickHouse-Query-Id": query_id
        if query_id.isascii() and query_id.isprintable() and query_id
        else str(uuid.uuid4()),
        "X-ClickHouse-Timezone": "UTC",
        "X-Content-Type-Options": "nosniff",
    }
