"""ClickHouse: the same engine as a server or in process (chDB), behind one narrow face.

Rows go in natively: times as milliseconds, ids and money as text. Measured for 38 columns x 5,000 rows of 1 KB into
chDB, CPU of the whole process: 12 us a row so (5 to build the block), 13 as Arrow, 22 as JSONEachRow. By column they
need no turning: 2.2 us a row to build the block of 5,000 recorded events, which row by row took 2.8.
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
from connectors.clickhouse.errors import ClickHouseError, Translated
from connectors.clickhouse.normalized_query import OUTFILE_REFUSED, RENDER, format_of, has_outfile
from connectors.clickhouse.reachability import check_alive, is_locked_by_another_process

_OPTIONS = Path(__file__).parent / "embedded" / "chdb"
CHDB_OPTIONS = {"config-file": str(_OPTIONS / "config.xml"), "users_config": str(_OPTIONS / "users.xml")}
"""How every handle in this process opens the engine: the first one decides for all."""

# the driver logs what it could not write, which is somebody's data, and what it tries again; errors come to us as well
for _name in ("clickhouse_connect", "urllib3"):
    logging.getLogger(_name).setLevel(logging.CRITICAL)

# a user who may only read may not say so again
common.set_setting("invalid_setting_action", "drop")

CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 120

_AS_THEY_ARE = {"optimize_on_insert": 0}
"""Else each insert is merged with itself before it is written: a seventh to a fifth of the engine's CPU for it."""


class ClickHouseClient:
    """One database. Connects when it is first used, so that it can be made while the server is away.

    Safe from any thread; calls wait for one another in process, and go side by side to a server. Every method raises
    ``ClickHouseError``.
    """

    def __init__(
        self, connect: Callable[[], Client], database: str, place: str, *, secret: str = "", read_only: bool = False
    ) -> None:
        self.database = database
        self.read_only = read_only
        self.place = place
        """Where it is, for people: a path or a URL without its password."""
        self._connect = connect
        self._secret = secret
        self._client: Client | None = None
        self._opening = threading.Lock()
        self._inserting = threading.Lock()
        self._contexts: dict[tuple[str, tuple[str, ...]], InsertContext] = {}

    @classmethod
    def embedded(
        cls, path: Path, database: str = "sluice", *, read_only: bool = False, holders: str = "another process has them"
    ) -> Self:
        """Open the engine in this process over the files under ``path``: one path per process, one process per path.

        ``holders`` says to people who else may have them, and what to do then.
        """

        def connect() -> Client:
            path.mkdir(parents=True, exist_ok=True)
            if is_locked_by_another_process(path):
                raise ClickHouseError(f"the ClickHouse files under {path} are in use: {holders}", unavailable=True)
            try:
                client = clickhouse_connect.get_client(interface="chdb", path=str(path), chdb_options=CHDB_OPTIONS)
            except ProgrammingError:
                raise ClickHouseError(
                    f"the ClickHouse files under {path} can't be opened: another process has them, or this one others"
                ) from None
            if read_only:
                client.command("SET readonly = 2")
            return client

        return cls(connect, database, str(path), read_only=read_only)

    @classmethod
    def server(cls, url: str, database: str = "sluice", *, read_only: bool = False) -> Self:
        """Use a server's HTTP interface: ``http(s)://user:password@host:port``."""
        parts = urlsplit(url)
        secret = unquote(parts.password or "")
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        port = parts.port or (8443 if parts.scheme == "https" else 8123)
        place = f"{parts.scheme}://{host}:{port}"

        def connect() -> Client:
            check_alive(place)
            return clickhouse_connect.get_client(
                host=parts.hostname or "localhost",
                port=port,
                secure=parts.scheme == "https",
                username=unquote(parts.username or "default"),
                password=secret,
                connect_timeout=CONNECT_TIMEOUT_S,
                send_receive_timeout=ANSWER_TIMEOUT_S,
                # a session would let one query run at a time
                autogenerate_session_id=False,
                settings={"readonly": 2} if read_only else {},
            )

        return cls(connect, database, place, secret=secret, read_only=read_only)

    @property
    def is_server(self) -> bool:
        """Whether there are users and roles: chDB has none."""
        return "://" in self.place

    def insert(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[object]], token: str = "") -> None:
        """Add a few rows, all of one length: see ``insert_columns``."""
        self.insert_columns(table, columns, list(zip(*rows, strict=True)), token)

    def insert_columns(
        self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]], token: str = ""
    ) -> None:
        """Add rows by column, all or none: none if a column is longer than another.

        The same ``token`` again within the table's deduplication window adds nothing.
        Two rows of one identity stay two until a merge: a view with FINAL shows one of them either way.
        """
        if not any(columns):
            return
        if len(set(map(len, columns))) > 1:  # which the driver would write all the same
            raise ClickHouseError(f"the columns for {table} differ in length")
        client = self._open()
        with self._inserting, self._translated(f"the insert into {table}", reveal=False):
            # made once: it costs a DESCRIBE
            key = (table, tuple(names))
            context = self._contexts.get(key) or client.create_insert_context(table, list(names), column_oriented=True)
            self._contexts[key] = context
            context.settings = _AS_THEY_ARE | ({"insert_deduplication_token": token} if token else {})
            context.data = columns
            try:
                client.insert(context=context)
            finally:
                context.data = None

    def query(self, sql: str, fmt: str = "JSON", parameters: Mapping[str, object] | None = None) -> bytes:
        """Run a query; the answer as the engine writes it, in the format that the query names, else in ``fmt``.

        Who may only read has it written to no file: a server forbids that itself.
        """
        client = self._open()
        with self._translated("the query"):
            if self.is_server:
                default = {"X-ClickHouse-Format": fmt}
                return bytes(client.raw_query(sql, parameters=dict(parameters or {}), transport_settings=default))
            rendered = _rendered(client, sql)
            if self.read_only and has_outfile(rendered):
                raise ClickHouseError(f"ClickHouse refused the query: {OUTFILE_REFUSED}")
            # the driver gives the engine in process no default
            appended = None if format_of(rendered) else fmt
            return bytes(client.raw_query(rendered, parameters=dict(parameters or {}), fmt=appended))

    def rows(self, sql: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Run a query; the answer as Python values by column name."""
        client = self._open()
        with self._translated("the query"):
            return list(client.query(sql, parameters=dict(parameters or {})).named_results())

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        """Run a statement that answers nothing."""
        client = self._open()
        with self._translated("the statement"):
            client.command(sql, parameters=dict(parameters or {}))

    def migrate(self) -> list[str]:
        """Bring the tables up to date: see ``connectors.clickhouse.migrations.apply``."""
        return migrations.apply(self)

    def close(self) -> None:
        """Let go of the connection or, in process, of the files. May be called twice."""
        with self._opening:
            client, self._client = self._client, None
            self._contexts.clear()
            if client is not None:
                client.close()

    def _open(self) -> Client:
        with self._opening:
            if self._client is None:
                with self._translated("the connection"):
                    self._client = self._entered(self._connect())
            return self._client

    def _entered(self, client: Client) -> Client:
        """Make the database if it is missing, asking first: who may only read can't even say IF NOT EXISTS."""
        known = client.query("SHOW DATABASES").result_rows
        if (self.database,) not in {tuple(row) for row in known}:
            if self.read_only:
                raise ClickHouseError(f"ClickHouse at {self.place} has no database {self.database}: run sluice migrate")
            client.command(f"CREATE DATABASE IF NOT EXISTS `{self.database}`")
        client.database = self.database
        return client

    def _translated(self, what: str, *, reveal: bool = True) -> Translated:
        return Translated(self.place, what, self._secret, reveal=reveal)


def _rendered(client: Client, sql: str) -> str:
    return str(client.query(RENDER, parameters={"sql": sql}).result_rows[0][0])
