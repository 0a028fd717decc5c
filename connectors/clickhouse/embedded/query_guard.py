"""Guard of read-only queries over chDB: decides which statements, functions, formats and settings are allowed. Pure.

It reads the normalized query, which has no comments and one statement, and asks the engine for the tree of a SELECT. In
``SELECT * FROM (EXPLAIN AST ...)`` the engine's parser refuses every other statement and every INTO OUTFILE, and prints
one line for each function; a crafted name can add lines to the tree and can hide none. The guard gives clear errors.
Files and sockets are out of reach without it: see ``sandbox``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping

from connectors.clickhouse.normalized_query import (
    OUTFILE_REFUSED,
    format_of,
    has_outfile,
    without_format,
    without_strings,
)

LIMITS = {
    "max_execution_time": 60,
    "max_memory_usage": 2 * 1024**3,
    "max_result_bytes": 1024**3,
    "max_threads": max(1, (os.cpu_count() or 2) // 2),
}
"""Limits of a query in seconds, bytes, bytes and threads, so that inserts can proceed at the same time."""

_LOWERABLE = frozenset({"max_execution_time", "max_threads", "max_result_bytes", "max_memory_usage"})
ALLOWED_SETTINGS = frozenset(
    {
        *("max_result_rows", "max_rows_to_read", "max_bytes_to_read", "max_block_size"),
        *("result_overflow_mode", "read_overflow_mode", "timeout_overflow_mode"),
        *("session_timezone", "extremes", "join_use_nulls", "final", "totals_mode"),
        *("date_time_input_format", "date_time_output_format", "format_csv_delimiter"),
        *("output_format_json_quote_64bit_integers", "output_format_json_quote_denormals"),
        *("output_format_json_quote_decimals", "output_format_json_named_tuples_as_objects"),
        *("output_format_write_statistics", "output_format_pretty_color", "output_format_pretty_max_rows"),
        *("output_format_arrow_string_as_string", "output_format_parquet_string_as_string"),
    }
)
"""Settings that a caller may choose, beside lower limits: how answers look, and how soon a query gives up. An exact
list, because of settings with one prefix some are harmless and some name files, addresses and queries."""

ALLOWED_FORMATS = frozenset(
    {
        *("TabSeparated", "TabSeparatedWithNames", "TabSeparatedWithNamesAndTypes", "TabSeparatedRaw"),
        *(
            "TabSeparatedRawWithNames",
            "TabSeparatedRawWithNamesAndTypes",
            "TSV",
            "TSVWithNames",
            "TSVWithNamesAndTypes",
        ),
        *(
            "TSVRaw",
            "TSVRawWithNames",
            "TSVRawWithNamesAndTypes",
            "TSKV",
            "Raw",
            "RawWithNames",
            "RawWithNamesAndTypes",
        ),
        *("CSV", "CSVWithNames", "CSVWithNamesAndTypes", "Values", "Vertical", "SQLInsert", "XML", "Null", "Hash"),
        *("JSON", "JSONStrings", "JSONColumns", "JSONColumnsWithMetadata", "JSONCompact", "JSONCompactStrings"),
        *("JSONCompactColumns", "JSONEachRow", "JSONLines", "JSONL", "NDJSON", "JSONStringsEachRow"),
        *("JSONCompactEachRow", "JSONCompactEachRowWithNames", "JSONCompactEachRowWithNamesAndTypes"),
        *("JSONCompactStringsEachRow", "JSONCompactStringsEachRowWithNames"),
        *("JSONCompactStringsEachRowWithNamesAndTypes", "JSONEachRowWithProgress", "JSONStringsEachRowWithProgress"),
        *("JSONCompactEachRowWithProgress", "JSONCompactStringsEachRowWithProgress", "JSONObjectEachRow"),
        *("PrettyJSONEachRow", "PrettyJSONLines", "PrettyNDJSON", "Pretty", "PrettyNoEscapes", "PrettyMonoBlock"),
        *("PrettyNoEscapesMonoBlock", "PrettyCompact", "PrettyCompactNoEscapes", "PrettyCompactMonoBlock"),
        *("PrettyCompactNoEscapesMonoBlock", "PrettySpace", "PrettySpaceNoEscapes", "PrettySpaceMonoBlock"),
        *("PrettySpaceNoEscapesMonoBlock", "Markdown", "MD", "LineAsString", "LineAsStringWithNames"),
        *("LineAsStringWithNamesAndTypes", "RowBinary", "RowBinaryWithNames", "RowBinaryWithNamesAndTypes", "Native"),
        *("Arrow", "ArrowStream", "Parquet", "ORC", "Avro", "MsgPack", "BSONEachRow", "Prometheus", "RawBLOB"),
    }
)
"""Formats that write what the query returned and nothing else. Those with schema files, templates or addresses
(Protobuf, CapnProto, Template, AvroConfluent) are not here, and neither is a format that a later engine adds."""

_SHOWING = ("SHOW", "DESCRIBE", "EXISTS")
_KINDS = ("SELECT", "WITH", "(", "EXPLAIN", *_SHOWING)
_EXPLAIN = re.compile(
    r"EXPLAIN(?: (?:AST|SYNTAX|QUERY TREE|PLAN|PIPELINE|ESTIMATE))?(?: \w+ = \w+(?:, \w+ = \w+)*)? (?=SELECT|WITH|\()"
)
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
_EXTERNAL_FUNCTIONS = re.compile(r"\b(file|ai[A-Z]\w*|addressTo\w+|catboostEvaluate|showCertificate)\b")
"""Scalar functions with access to files or the network: file() reads any path without a grant, aiGenerate() calls a
service. Refused as words, because APPLY takes a function by its name alone."""

_CALL = re.compile(r"[`\"]?(\w+)[`\"]?\s*\(")
_CODE = re.compile(r"Code: (\d+)\.")

_FUNCTION_LINE = re.compile(r"^\s*Function (\S+)", re.MULTILINE)
_NOT_A_SELECT = "EXPLAIN inside subquery supports only SELECT"
_OUTPUT_OPTIONS = "cannot have output options"

SYNTAX_ERROR, UNKNOWN_FORMAT, READONLY, ACCESS_DENIED = 62, 73, 164, 497


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


class QueryGuard:
    """The rules, for the table functions of one engine."""

    def __init__(self, table_functions: Iterable[str]) -> None:
        self._refused = frozenset(name.lower() for name in table_functions) - ALLOWED_TABLE_FUNCTIONS

    def check(self, rendered: str, fmt: str, syntax_tree: Callable[[str], str]) -> str:
        """Return the output format of a normalized query; ``fmt`` is the one that applies if the query names none.

        ``syntax_tree`` asks the engine for the tree of a SELECT without its format.

        Raises:
            QueryError: the query may not run.

        """
        if not rendered.startswith(_KINDS):
            raise _not_reading(rendered)
        if has_outfile(rendered):
            raise QueryError.in_engine_format(ACCESS_DENIED, "ACCESS_DENIED", OUTFILE_REFUSED)
        chosen = format_of(rendered) or fmt
        if chosen not in ALLOWED_FORMATS:
            raise QueryError.in_engine_format(UNKNOWN_FORMAT, "UNKNOWN_FORMAT", f"Format {chosen} is not allowed here")
        text = without_strings(rendered)
        self._check_functions([*_CALL.findall(text), *_EXTERNAL_FUNCTIONS.findall(text)])
        if not rendered.startswith(_SHOWING):
            self._check_tree(rendered, syntax_tree)
        return chosen

    def _check_tree(self, rendered: str, syntax_tree: Callable[[str], str]) -> None:
        try:
            tree = syntax_tree(_EXPLAIN.sub("", without_format(rendered), count=1))
        except QueryError as error:
            if _NOT_A_SELECT in str(error):
                raise _not_reading(rendered) from None
            if _OUTPUT_OPTIONS in str(error):
                raise QueryError.in_engine_format(ACCESS_DENIED, "ACCESS_DENIED", OUTFILE_REFUSED) from None
            raise
        self._check_functions(_FUNCTION_LINE.findall(tree))

    def _check_functions(self, names: Iterable[str]) -> None:
        for name in names:
            if name.lower() in self._refused or _EXTERNAL_FUNCTIONS.fullmatch(name):
                raise QueryError.in_engine_format(
                    ACCESS_DENIED, "ACCESS_DENIED", f"Function {name} is not allowed here"
                )


def _not_reading(rendered: str) -> QueryError:
    kind = " ".join(rendered.split()[:1])
    return QueryError.in_engine_format(READONLY, "READONLY", f"Cannot execute {kind} here, this endpoint only reads")


def session_statements(database: str, visible: str, settings: Mapping[str, str]) -> list[str]:
    """Return the statements that prepare a new connection; ``readonly`` comes last.

    ``visible`` is the value that the row policies compare with: see ``replica``.

    Raises:
        QueryError: a setting is not allowed, or the database name is invalid.

    """
    chosen: dict[str, str] = {"log_comment": visible} | {name: str(value) for name, value in LIMITS.items()}
    # its entries of one tenant would skip granules with rows of another
    chosen["use_query_condition_cache"] = "0"
    chosen["output_format_pretty_color"] = "0"  # the default depends on this process's terminal
    for name, value in settings.items():
        if name in _LOWERABLE:
            chosen[name] = str(_lower(name, value))
        elif name in ALLOWED_SETTINGS:
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
