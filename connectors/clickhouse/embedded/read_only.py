"""Reading from chDB for somebody whom we do not know: nothing changes, and nothing but our tables is seen.

Four walls, each enough for most of it. The engine starts without rights to files, network and other sources (see
``chdb/users.xml``). Every query gets a handle of its own with ``readonly = 1`` and limits that it can't lift. Only the
engine's own rendering of the query is run, which has no comments and no second statement; of that, kinds of statements
and functions that reach around the rights are refused.
"""

from __future__ import annotations

import os
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import chdb
from chdb import ChdbError

from connectors.clickhouse import CHDB_OPTIONS
from connectors.clickhouse.normalized_query import (
    OUTFILE_REFUSED,
    RENDER,
    format_of,
    has_outfile,
    strip_wrapper,
    without_strings,
)

LIMITS = {
    "max_execution_time": 60,
    "max_memory_usage": 2 * 1024**3,
    "max_result_bytes": 1024**3,
    "max_threads": max(1, (os.cpu_count() or 2) // 2),
}
"""Seconds, bytes, bytes, threads: a query of whatever size leaves room for the rows that come in meanwhile."""

_LOWERABLE = frozenset({"max_execution_time", "max_threads", "max_result_bytes", "max_memory_usage"})
_HARMLESS = re.compile(
    r"(output_format|format|date_time)_[a-z0-9_]+|max_(result_rows|rows_to_read|bytes_to_read|block_size)"
    r"|(result|read|timeout)_overflow_mode|session_timezone|extremes|join_use_nulls|final|totals_mode"
)
"""Settings that a caller may choose: how answers look, and how soon a query gives up."""

_KINDS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN")
_TABLE_FUNCTIONS = frozenset(
    {
        "numbers",
        "numbers_mt",
        "zeros",
        "zeros_mt",
        "generateseries",
        "generate_series",
        "values",
        "view",
        "null",
        "format",
    }
)
"""Functions that may stand in FROM. All others the engine knows are refused: many reach out, and new ones will.
``format`` is here as the scalar function of that name; the other is refused by ``readonly``."""
_REACHING = re.compile(r"\b(file|ai[A-Z]\w*)\b")
"""Scalar functions that reach out: file() reads any path without asking for a right, aiGenerate() calls out. Refused
as words, since APPLY takes a function by its name alone."""

_CALL = re.compile(r"[`\"]?(\w+)[`\"]?\s*\(")
_CODE = re.compile(r"Code: (\d+)\.")

SYNTAX_ERROR, READONLY, ACCESS_DENIED = 62, 164, 497


class QueryError(Exception):
    """The engine, or we in its words, refused a query. The message is as a server would give it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def ours(cls, code: int, name: str, reason: str) -> QueryError:
        """One that we raise, in the engine's form."""
        return cls(code, f"Code: {code}. DB::Exception: {reason}. ({name})")

    @classmethod
    def engine(cls, error: Exception) -> QueryError:
        """One that the engine raised."""
        text = str(error)
        found = _CODE.search(text)
        return cls(int(found[1]) if found else 0, text[found.start() :] if found else text)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query brought."""

    content: bytes
    format: str
    rows_read: int
    bytes_read: int
    elapsed_ns: int


class ReadOnlyEngine:
    """Runs queries over the engine of this process, from any thread and side by side. A handle costs 1 ms to open."""

    def __init__(self, path: Path, database: str) -> None:
        self._place = f"{os.path.realpath(path)}?{urlencode(CHDB_OPTIONS)}"
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
            sql: one statement that reads.
            fmt: any of ClickHouse's formats, unless the query names one.
            database: what unqualified names mean; empty for ours.
            settings: those that are not harmless are refused; limits can be lowered, not lifted.
            parameters: values of ``{name:Type}``, escaped as in TabSeparated, as over HTTP.

        Raises:
            QueryError: it is not allowed, or the engine could not do it.

        """
        begun = time.monotonic_ns()
        handle = chdb.connect(self._place)
        try:
            rendered = self._checked(handle, sql)
            for statement in _preparations(database or self._database, self._mark, settings or {}):
                handle.query(statement)
            result = handle.query(rendered, fmt, params=dict(parameters or {}))
            return QueryResult(
                result.bytes() or b"",
                format_of(rendered) or fmt,
                result.storage_rows_read(),
                result.storage_bytes_read(),
                time.monotonic_ns() - begun,
            )
        except ChdbError as error:
            raise QueryError.engine(error) from None
        finally:
            handle.close()

    def cancel(self) -> None:
        """End the queries that run; each raises."""
        handle = chdb.connect(self._place)
        try:
            handle.query(f"KILL QUERY WHERE Settings['log_comment'] = {_literal(self._mark)} ASYNC")
        finally:
            handle.close()

    def _checked(self, handle: chdb.state.sqlitelike.Connection, sql: str) -> str:
        """The query as the engine renders it, if it may run."""
        try:
            answer = handle.query(RENDER, "TSVRaw", params={"sql": escape(sql)})
        except ChdbError as error:
            refused = QueryError.engine(error)
            raise QueryError(refused.code, strip_wrapper(str(refused))) from None
        rendered = str(answer.bytes().decode()).rstrip("\n")
        refusal = self._refusal(rendered)
        if refusal:
            raise refusal
        return rendered

    def _refusal(self, rendered: str) -> QueryError | None:
        """Why a rendered query may not run."""
        text = without_strings(rendered)
        if not text.startswith(_KINDS):
            kind = " ".join(text.split()[:1])
            return QueryError.ours(READONLY, "READONLY", f"Cannot execute {kind} here, this endpoint only reads")
        if has_outfile(rendered):
            return QueryError.ours(ACCESS_DENIED, "ACCESS_DENIED", OUTFILE_REFUSED)
        for name in (*_CALL.findall(text), *_REACHING.findall(text)):
            if name.lower() in self._refused or _REACHING.fullmatch(name):
                return QueryError.ours(ACCESS_DENIED, "ACCESS_DENIED", f"Function {name} is not allowed here")
        return None

    def _refused_functions(self) -> frozenset[str]:
        handle = chdb.connect(self._place)
        try:
            known = handle.query("SELECT name FROM system.table_functions", "TSVRaw").bytes().decode().lower().split()
        finally:
            handle.close()
        return frozenset(known) - _TABLE_FUNCTIONS


def escape(text: str) -> str:
    """A parameter's value as ClickHouse reads it: escaped as in TabSeparated."""
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r"), ("\0", "\\0")):
        text = text.replace(plain, escaped)
    return text


def _preparations(database: str, mark: str, settings: Mapping[str, str]) -> list[str]:
    """What a fresh handle is told, the lock last."""
    chosen: dict[str, str] = {"log_comment": mark} | {name: str(value) for name, value in LIMITS.items()}
    chosen["output_format_pretty_color"] = "0"  # else it depends on our terminal, not on the reader's
    for name, value in settings.items():
        if name in _LOWERABLE:
            chosen[name] = str(_lower(name, value))
        elif _HARMLESS.fullmatch(name):
            chosen[name] = value
        else:
            raise QueryError.ours(READONLY, "READONLY", f"Cannot modify '{name}' setting in readonly mode")
    assignments = [f"SET {name} = {_literal(value)}" for name, value in chosen.items()]
    return [f"USE `{_identifier(database)}`", *assignments, "SET readonly = 1"]


def _lower(name: str, value: str) -> float:
    """The caller's limit if it is below ours; none at all, which is zero, is not."""
    try:
        wanted = float(value)
    except ValueError:
        raise QueryError.ours(27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", f"Setting {name} is no number") from None
    limit = LIMITS[name]
    return (
        wanted if name == "max_execution_time" and 0 < wanted < limit else int(wanted) if 1 <= wanted < limit else limit
    )


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        raise QueryError.ours(81, "UNKNOWN_DATABASE", "Database does not exist")
    return name
