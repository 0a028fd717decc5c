"""Read-only access to chDB for clients that are not trusted: no writes, and no access to anything but its own tables.

The reader process has no access to other files or to the network (``sandbox``). Three more layers give clear errors
before that: the engine starts without grants to write and on files, network and other sources (see
``chdb/reader_users.xml``), every query runs in its own connection with ``readonly = 1`` and limits that it cannot
raise, and only a normalized query that ``query_guard`` allows is run.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import chdb
from chdb import ChdbError
from chdb.state.sqlitelike import Connection

from connectors.clickhouse import CHDB_OPTIONS
from connectors.clickhouse.embedded.query_guard import (
    ACCESS_DENIED,
    QueryError,
    QueryGuard,
    quote,
    session_statements,
)
from connectors.clickhouse.embedded.replica import EVERY_TENANT, SEPARATOR, connection_string
from connectors.clickhouse.normalized_query import RENDER, strip_wrapper


@dataclass(frozen=True, slots=True)
class QueryResult:
    """Result of a query."""

    content: bytes
    format: str
    rows_read: int
    bytes_read: int
    elapsed_ns: int


class ReadOnlyEngine:
    """Runs queries on the engine of this process. Thread-safe and parallel; opening a connection takes 1 ms."""

    def __init__(self, path: Path, database: str, options: Mapping[str, str] = CHDB_OPTIONS) -> None:
        self._connection_string = connection_string(path, options)
        self._database = database
        self._anchor: Connection | None = None
        handle = chdb.connect(self._connection_string)
        try:
            names = handle.query("SELECT name FROM system.table_functions", "TSVRaw").bytes().decode().split()
        finally:
            handle.close()
        self._guard = QueryGuard(names)

    def run(
        self,
        sql: str,
        fmt: str = "TabSeparated",
        database: str = "",
        settings: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
        *,
        tenants: Collection[str] | None = None,
    ) -> QueryResult:
        """Run one query.

        Args:
            sql: one reading statement.
            fmt: the output format, unless the query names one.
            database: the database of unqualified names; empty for the default one.
            settings: output settings and lower limits; others are refused.
            parameters: values of ``{name:Type}``, escaped as in TabSeparated, as over HTTP.
            tenants: the tenants whose rows the caller may see; None for all. Only the reader process has row policies.

        Raises:
            QueryError: the query is not allowed, or it failed.
            ValueError: a tenant's name is one that the row policies give another meaning.

        """
        started = time.monotonic_ns()
        visible = EVERY_TENANT if tenants is None else _visible(tenants)
        handle = chdb.connect(self._connection_string)
        try:
            bound = dict(parameters or {})
            rendered = _normalize(handle, sql)
            output_format = self._guard.check(rendered, fmt, lambda select: _syntax_tree(handle, select, bound))
            if tenants is not None and rendered.startswith("EXPLAIN"):
                # it counts rows and parts before the row policies apply
                raise QueryError.in_engine_format(
                    ACCESS_DENIED, "ACCESS_DENIED", "EXPLAIN needs a key that reads all tenants"
                )
            for statement in session_statements(database or self._database, visible, settings or {}):
                handle.query(statement)
            result = handle.query(rendered, fmt, params=bound)
            return QueryResult(
                result.bytes() or b"",
                output_format,
                result.storage_rows_read(),
                result.storage_bytes_read(),
                time.monotonic_ns() - started,
            )
        except ChdbError as error:
            raise QueryError.from_engine(error) from None
        finally:
            handle.close()

    def keep_open(self) -> None:
        """Hold a connection: the engine shuts down when the last one is closed."""
        self._anchor = chdb.connect(self._connection_string)

    def cancel(self) -> None:
        """Kill the running queries; each raises ``QueryError``."""
        handle = chdb.connect(self._connection_string)
        try:
            handle.query(f"SET log_comment = {quote(EVERY_TENANT)}")
            handle.query("KILL QUERY WHERE Settings['readonly'] = '1' ASYNC")
        finally:
            handle.close()


def _visible(tenants: Collection[str]) -> str:
    if any(not name or name == EVERY_TENANT or SEPARATOR in name for name in tenants):
        raise ValueError("a tenant's name is invalid")
    return SEPARATOR.join(tenants)


def _normalize(handle: Connection, sql: str) -> str:
    """Return the normalized query."""
    try:
        answer = handle.query(RENDER, "TSVRaw", params={"sql": escape(sql)})
    except ChdbError as error:
        failure = QueryError.from_engine(error)
        raise QueryError(failure.code, strip_wrapper(str(failure))) from None
    return str(answer.bytes().decode()).rstrip("\n")


def _syntax_tree(handle: Connection, select: str, parameters: dict[str, str]) -> str:
    """Return the engine's tree of a SELECT, one node per line."""
    try:
        # a normalized query is one statement with balanced brackets, and the engine only parses it
        answer = handle.query(f"SELECT * FROM (EXPLAIN AST {select})", "TSVRaw", params=parameters)  # noqa: S608
    except ChdbError as error:
        raise QueryError.from_engine(error) from None
    return str((answer.bytes() or b"").decode())


def escape(text: str) -> str:
    """Return a parameter's value, escaped as in TabSeparated."""
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, escaped)
    return text
