"""Read-only access to chDB for unauthenticated clients: no writes, and no access to anything but its own tables.

Four layers of protection overlap. The engine starts without grants on files, network and other sources (see
``chdb/users.xml``). Every query runs in its own connection with ``readonly = 1`` and limits that it cannot raise. Only
the normalized query is run, which has no comments and no second statement. ``query_guard`` refuses statements and
functions that bypass grants.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import chdb
from chdb import ChdbError

from connectors.clickhouse import CHDB_OPTIONS
from connectors.clickhouse.embedded.query_guard import (
    ALLOWED_TABLE_FUNCTIONS,
    QueryError,
    quote,
    refusal,
    session_statements,
)
from connectors.clickhouse.normalized_query import RENDER, format_of, strip_wrapper


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

    def __init__(self, path: Path, database: str) -> None:
        self._connection_string = f"{os.path.realpath(path)}?{urlencode(CHDB_OPTIONS)}"
        self._database = database
        self._mark = f"reader-{uuid.uuid4()}"
        self._refused = self._refused_functions()

    def run(
        self,
        sql: str,
        fmt: str = "TabSeparated",
        database: str = "",
        settings: Mapping[str, str] | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> QueryResult:
        """Run one query.

        Args:
            sql: one reading statement.
            fmt: the output format, unless the query names one.
            database: the database of unqualified names; empty for the default one.
            settings: output settings and lower limits; others are refused.
            parameters: values of ``{name:Type}``, escaped as in TabSeparated, as over HTTP.

        Raises:
            QueryError: the query is not allowed, or it failed.

        """
        started = time.monotonic_ns()
        handle = chdb.connect(self._connection_string)
        try:
            rendered = self._normalize(handle, sql)
            for statement in session_statements(database or self._database, self._mark, settings or {}):
                handle.query(statement)
            result = handle.query(rendered, fmt, params=dict(parameters or {}))
            return QueryResult(
                result.bytes() or b"",
                format_of(rendered) or fmt,
                result.storage_rows_read(),
                result.storage_bytes_read(),
                time.monotonic_ns() - started,
            )
        except ChdbError as error:
            raise QueryError.from_engine(error) from None
        finally:
            handle.close()

    def cancel(self) -> None:
        """Kill the running queries; each raises ``QueryError``."""
        handle = chdb.connect(self._connection_string)
        try:
            handle.query(f"KILL QUERY WHERE Settings['log_comment'] = {quote(self._mark)} ASYNC")
        finally:
            handle.close()

    def _normalize(self, handle: chdb.state.sqlitelike.Connection, sql: str) -> str:
        """Return the normalized query, if it is allowed."""
        try:
            answer = handle.query(RENDER, "TSVRaw", params={"sql": escape(sql)})
        except ChdbError as error:
            failure = QueryError.from_engine(error)
            raise QueryError(failure.code, strip_wrapper(str(failure))) from None
        rendered = str(answer.bytes().decode()).rstrip("\n")
        reason = refusal(rendered, self._refused)
        if reason:
            raise reason
        return rendered

    def _refused_functions(self) -> frozenset[str]:
        handle = chdb.connect(self._connection_string)
        try:
            known = handle.query("SELECT name FROM system.table_functions", "TSVRaw").bytes().decode().lower().split()
        finally:
            handle.close()
        return frozenset(known) - ALLOWED_TABLE_FUNCTIONS


def escape(text: str) -> str:
    """Return a parameter's value, escaped as in TabSeparated."""
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, escaped)
    return text
