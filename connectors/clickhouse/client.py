"""Client of ClickHouse, either a server or the engine in process (chDB).

Inserts use the Native format, with times as milliseconds, and ids and money as text. Measured for 38 columns x 5,000
rows of 1 KB into chDB, CPU of the whole process: 12 us per row (5 us to build the block), 13 us as Arrow, 22 us as
JSONEachRow. Columns need no transposition: to build the block of 5,000 recorded events takes 2.2 us per row, instead of
2.8 us by row.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect import common
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ProgrammingError
from clickhouse_connect.driver.insert import InsertContext

from connectors.clickhouse import migrations
from connectors.clickhouse.errors import ClickHouseError, ErrorTranslation
from connectors.clickhouse.normalized_query import OUTFILE_REFUSED, RENDER, format_of, has_outfile
from connectors.clickhouse.reachability import check_alive, is_locked_by_another_process

_OPTIONS = Path(__file__).parent / "embedded" / "chdb"
CHDB_OPTIONS = {"config-file": str(_OPTIONS / "config.xml"), "users_config": str(_OPTIONS / "users.xml")}
"""Options of every connection to the engine in this process. The options of the first connection apply to all."""

# the driver logs rows that it could not write, which are callers' data, and retries; errors are raised as well
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

# a readonly user may not set readonly again
common.set_setting("invalid_setting_action", "drop")

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 120

_INSERT_SETTINGS = {"optimize_on_insert": 0}
"""By default the engine merges the rows of each insert before it writes them, for 14 to 20 % of the insert's CPU."""


class ClickHouseClient:
    """Client of one database. It connects at its first use, so that it can be created while the server is unavailable.

    Thread-safe: calls are serialized in process, and run in parallel on a server. Every method raises
    ``ClickHouseError``.
    """

    def __init__(
        self, connect: Callable[[], Client], database: str, address: str, *, secret: str = "", read_only: bool = False
    ) -> None:
        self.database = database
        self.read_only = read_only
        self.address = address
        """Address for messages: a path, or a URL without its password."""
        self._connect = connect
        self._secret = secret
        self._client: Client | None = None
        self._connect_lock = threading.Lock()
        self._insert_lock = threading.Lock()
        self._contexts: dict[tuple[str, tuple[str, ...]], InsertContext] = {}

    @classmethod
    def embedded(
        cls,
        path: Path,
        database: str = "sluice",
        *,
        read_only: bool = False,
        holders: str = "another process uses them",
    ) -> Self:
        """Return a client of the engine in this process, with its files under ``path``.

        A process can open one path only, and a path can be open in one process only. ``holders`` says in the error
        which process may have it open, and what to do.
        """

        def connect() -> Client:
            path.mkdir(parents=True, exist_ok=True)
            if is_locked_by_another_process(path):
                raise ClickHouseError(f"the ClickHouse files under {path} are in use: {holders}", unavailable=True)
            try:
                client = clickhouse_connect.get_client(interface="chdb", path=str(path), chdb_options=CHDB_OPTIONS)
            except ProgrammingError:
                raise ClickHouseError(
                    f"the ClickHouse files under {path} can't be opened: "
                    "another process uses them, or this process uses another path"
                ) from None
            if read_only:
                client.command("SET readonly = 2")
            return client

        return cls(connect, database, str(path), read_only=read_only)

    @classmethod
    def server(cls, url: str, database: str = "sluice", *, read_only: bool = False) -> Self:
        """Return a client of a server's HTTP interface: ``http(s)://user:password@host:port``."""
        parts = urlsplit(url)
        secret = unquote(parts.password or "")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
        address = f"{parts.scheme}://{host}:{port}"

        def connect() -> Client:
            check_alive(address)
            return clickhouse_connect.get_client(
                host=parts.hostname or "localhost",
                port=port,
                secure=parts.scheme == "https",
                username=unquote(parts.username or "default"),
                password=secret,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=ANSWER_TIMEOUT_S,
                # a session runs one query at a time
                autogenerate_session_id=False,
                settings={"readonly": 2} if read_only else {},
            )

        return cls(connect, database, address, secret=secret, read_only=read_only)

    @property
    def is_server(self) -> bool:
        """True for a server, which has users and roles; chDB has none."""
        return "://" in self.address

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]], token: str = "") -> None:
        """Insert rows of equal length: see ``insert_columns``."""
        self.insert_columns(table, columns, list(zip(*rows, strict=True)), token)

    def insert_columns(
        self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]], token: str = ""
    ) -> None:
        """Insert rows by column, all or none. Columns of different lengths are an error.

        A ``token`` that repeats within the table's deduplication window adds nothing. Two rows with the same sorting
        key remain until a merge; a view with FINAL shows one of them in any case.
        """
        if not any(columns):
            return
        if len(set(map(len, columns))) > 1:  # the driver would write them anyway
            raise ClickHouseError(f"the columns for {table} differ in length")
        client = self._open()
        with self._insert_lock, self._translate_errors(f"the insert into {table}", reveal=False):
            # cached, because creating it sends a DESCRIBE
            key = (table, tuple(names))
            context = self._contexts.get(key) or client.create_insert_context(table, list(names), column_oriented=True)
            self._contexts[key] = context
            context.settings = _INSERT_SETTINGS | ({"insert_deduplication_token": token} if token else {})
            context.data = columns
            try:
                client.insert(context=context)
            finally:
                context.data = None

    def query(self, sql: str, fmt: str = "JSON", parameters: Mapping[str, object] | None = None) -> bytes:
        """Run a query and return the engine's output, in the format that the query names, else in ``fmt``.

        A readonly client in process refuses INTO OUTFILE. A server forbids it itself.
        """
        client = self._open()
        with self._translate_errors("the query"):
            if self.is_server:
                default = {"X-ClickHouse-Format": fmt}
                return bytes(client.raw_query(sql, parameters=dict(parameters or {}), transport_settings=default))
            rendered = _render(client, sql)
            if self.read_only and has_outfile(rendered):
                raise ClickHouseError(f"ClickHouse refused the query: {OUTFILE_REFUSED}")
            # the driver sends no default format to the engine in process
            appended = None if format_of(rendered) else fmt
            return bytes(client.raw_query(rendered, parameters=dict(parameters or {}), fmt=appended))

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Run a query and return its rows as Python values by column name."""
        client = self._open()
        with self._translate_errors("the query"):
            return list(client.query(sql, parameters=dict(parameters or {})).named_results())

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a statement without a result."""
        client = self._open()
        with self._translate_errors("the statement"):
            client.command(sql, parameters=dict(parameters or {}))

    def migrate(self) -> list[str]:
        """Apply missing migrations: see ``connectors.clickhouse.migrations.apply``."""
        return migrations.apply(self)

    def close(self) -> None:
        """Close the connection or, in process, the files. May be called twice."""
        with self._connect_lock:
            client, self._client = self._client, None
            self._contexts.clear()
            if client is not None:
                client.close()

    def _open(self) -> Client:
        with self._connect_lock:
            if self._client is None:
                with self._translate_errors("the connection"):
                    self._client = self._use_database(self._connect())
            return self._client

    def _use_database(self, client: Client) -> Client:
        """Use the database, and create it if it is missing. A readonly user may not run CREATE ... IF NOT EXISTS."""
        databases = client.query("SHOW DATABASES").result_rows
        if (self.database,) not in {tuple(row) for row in databases}:
            if self.read_only:
                raise ClickHouseError(
                    f"ClickHouse at {self.address} has no database {self.database}: run sluice migrate"
                )
            client.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
        client.database = self.database
        return client

    def _translate_errors(self, what: str, *, reveal: bool = True) -> ErrorTranslation:
        return ErrorTranslation(self.address, what, self._secret, reveal=reveal)


def _render(client: Client, sql: str) -> str:
    return str(client.query(RENDER, parameters={"sql": sql}).result_rows[0][0])
