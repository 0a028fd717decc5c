"""Guard of read-only queries over chDB: decides which statements, functions and settings are allowed. Pure.

It reads the normalized query, which has no comments and one statement. The engine enforces the rest: it starts without
grants on files, network and other sources (see ``chdb/users.xml``), and each query runs with ``readonly = 1``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from connectors.clickhouse.normalized_query import OUTFILE_REFUSED, has_outfile, without_strings

LIMITS = {
    "max_execution_time": 60,
    "max_memory_usage": 2 * 1024**3,
    "max_result_bytes": 1024**3,
    "max_threads": max(1, (os.cpu_count() or 2) // 2),
}
"""Limits of a query in seconds, bytes, bytes and threads, so that inserts can proceed at the same time."""

_LOWERABLE = frozenset({"max_execution_time", "max_threads", "max_result_bytes", "max_memory_usage"})
_ALLOWED_SETTINGS = re.compile(
    r"(output_format|format|date_time)_[a-z0-9_]+|max_(result_rows|rows_to_read|bytes_to_read|block_size)"
    r"|(result|read|timeout)_overflow_mode|session_timezone|extremes|join_use_nulls|final|totals_mode"
)
"""Settings that a caller may choose: output formatting and lower limits."""

_KINDS = ("SELECT", "WITH", "SHOW", "DESCRIBE", "EXISTS", "EXPLAIN")
ALLOWED_TABLE_FUNCTIONS = frozenset(
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
"""Table functions that are allowed. All others of the engine are refused, because many access files or the network, and
new ones will. ``format`` is allowed for the scalar function of that name; ``readonly`` refuses the table function."""
_EXTERNAL_FUNCTIONS = re.compile(r"\b(file|ai[A-Z]\w*)\b")
"""Scalar functions with access to files or the network: file() reads any path without a grant, aiGenerate() calls a
service. Refused as words, because APPLY takes a function by its name alone."""

_CALL = re.compile(r"[`\"]?(\w+)[`\"]?\s*\(")
_CODE = re.compile(r"Code: (\d+)\.")

SYNTAX_ERROR, READONLY, ACCESS_DENIED = 62, 164, 497


class QueryError(Exception):
    """The engine or the guard refused a query. The message has the format of a ClickHouse server."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code

    @classmethod
    def in_engine_format(cls, code: int, name: str, reason: str) -> QueryError:
        """Return an error of the guard in the engine's format."""
        return cls(code, f"Code: {code}. DB::Exception: {reason}. ({name})")

    @classmethod
    def from_engine(cls, error: Exception) -> QueryError:
        """Return an error that the engine raised."""
        text = str(error)
        found = _CODE.search(text)
        return cls(int(found[1]) if found else 0, text[found.start() :] if found else text)


def refusal(rendered: str, refused_functions: frozenset[str]) -> QueryError | None:
    """Return the reason why a normalized query may not run; None if it may."""
    text = without_strings(rendered)
    if not text.startswith(_KINDS):
        kind = " ".join(text.split()[:1])
        return QueryError.in_engine_format(
            READONLY, "READONLY", f"Cannot execute {kind} here, this endpoint only reads"
        )
    if has_outfile(rendered):
        return QueryError.in_engine_format(ACCESS_DENIED, "ACCESS_DENIED", OUTFILE_REFUSED)
    for name in (*_CALL.findall(text), *_EXTERNAL_FUNCTIONS.findall(text)):
        if name.lower() in refused_functions or _EXTERNAL_FUNCTIONS.fullmatch(name):
            return QueryError.in_engine_format(ACCESS_DENIED, "ACCESS_DENIED", f"Function {name} is not allowed here")
    return None


def session_statements(database: str, mark: str, settings: Mapping[str, str]) -> list[str]:
    """Return the statements that prepare a new connection; ``readonly`` comes last.

    Raises:
        QueryError: a setting is not allowed, or the database name is invalid.

    """
    chosen: dict[str, str] = {"log_comment": mark} | {name: str(value) for name, value in LIMITS.items()}
    chosen["output_format_pretty_color"] = "0"  # the default depends on this process's terminal
    for name, value in settings.items():
        if name in _LOWERABLE:
            chosen[name] = str(_lower(name, value))
        elif _ALLOWED_SETTINGS.fullmatch(name):
            chosen[name] = value
        else:
            raise QueryError.in_engine_format(READONLY, "READONLY", f"Cannot modify '{name}' setting in readonly mode")
    assignments = [f"SET {name} = {quote(value)}" for name, value in chosen.items()]
    return [f"USE `{_identifier(database)}`", *assignments, "SET readonly = 1"]


def _lower(name: str, value: str) -> float:
    """Return the caller's limit if it is below the maximum, else the maximum. Zero, which means no limit, is not."""
    try:
        requested = float(value)
    except ValueError:
        raise QueryError.in_engine_format(
            27, "CANNOT_PARSE_INPUT_ASSERTION_FAILED", f"Setting {name} is not a number"
        ) from None
    limit = LIMITS[name]
    return (
        requested
        if name == "max_execution_time" and 0 < requested < limit
        else int(requested)
        if 1 <= requested < limit
        else limit
    )


def quote(value: str) -> str:
    """Return a string literal of SQL."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    if not re.fullmatch(r"\w+", name):
        raise QueryError.in_engine_format(81, "UNKNOWN_DATABASE", "Database does not exist")
    return name
