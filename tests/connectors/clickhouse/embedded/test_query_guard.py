from __future__ import annotations

import pytest

from connectors.clickhouse.embedded.query_guard import (
    ACCESS_DENIED,
    ALLOWED_FORMATS,
    ALLOWED_SETTINGS,
    READONLY,
    UNKNOWN_FORMAT,
    QueryError,
    QueryGuard,
    session_statements,
)

GUARD = QueryGuard({"url", "remote", "numbers"})


def check(sql: str, tree: str = "SelectWithUnionQuery", fmt: str = "JSON") -> str:
    return GUARD.check(sql, fmt, lambda _: tree)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 'INTO OUTFILE', 'file('",
        "SELECT 1 AS `INTO OUTFILE 'x'`",
        "WITH 1 AS one SELECT one FROM numbers(3)",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
    ],
)
def test_reading_query_is_allowed(sql: str) -> None:
    assert check(sql) == "JSON"


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO t VALUES (1)", READONLY),
        ("SELECT 1 INTO OUTFILE 'x'", ACCESS_DENIED),
        ("SELECT 'owned' AS `a'` INTO OUTFILE 'x' FORMAT RawBLOB", ACCESS_DENIED),
        ("SELECT * FROM url('http://x')", ACCESS_DENIED),
        ("SELECT file('/etc/passwd')", ACCESS_DENIED),
        ("SELECT 1 AS `a'`, file('/proc/self/environ') AS `b'` FORMAT TSVRaw", ACCESS_DENIED),
        ("SELECT 1 AS `a\\`'`, file('x') AS `'`", ACCESS_DENIED),
        ("SELECT * APPLY file FROM t", ACCESS_DENIED),
        ("SELECT aiGenerate('x')", ACCESS_DENIED),
        ("SELECT 1 FORMAT Template", UNKNOWN_FORMAT),
        ("SELECT 1 FORMAT Protobuf SETTINGS max_threads = 1", UNKNOWN_FORMAT),
    ],
)
def test_writing_query_and_external_function_are_refused(sql: str, code: int) -> None:
    with pytest.raises(QueryError) as caught:
        check(sql)

    assert caught.value.code == code


def test_function_that_only_the_tree_shows_is_refused() -> None:
    with pytest.raises(QueryError, match="Function file"):
        check("SELECT 1", "SelectQuery\n ExpressionList\n  Function file (alias `x`) (children 1)")


def test_statement_that_the_engine_does_not_take_as_a_select_is_refused() -> None:
    def syntax_tree(_: str) -> str:
        raise QueryError(36, "Code: 36. DB::Exception: EXPLAIN inside subquery supports only SELECT queries")

    with pytest.raises(QueryError, match="only reads"):
        GUARD.check("WITH x DELETE", "JSON", syntax_tree)


def test_engine_is_asked_for_the_tree_of_the_select_alone() -> None:
    asked: list[str] = []

    def syntax_tree(select: str) -> str:
        asked.append(select)
        return ""

    GUARD.check("EXPLAIN PIPELINE graph = 1 SELECT ' FORMAT x' FORMAT JSON", "CSV", syntax_tree)

    assert asked == ["SELECT ' FORMAT x'"]


@pytest.mark.parametrize(
    "fmt", ["Template", "Protobuf", "ProtobufList", "ProtobufSingle", "CapnProto", "AvroConfluent", "Npy"]
)
def test_format_with_schema_files_or_addresses_is_not_allowed(fmt: str) -> None:
    with pytest.raises(QueryError, match="is not allowed here"):
        check("SELECT 1", fmt=fmt)


def test_no_allowed_setting_names_a_file_an_address_or_a_query() -> None:
    suspicious = ("schema", "template", "url", "path", "registry", "source", "subject", "file", "dir")

    assert [name for name in ALLOWED_SETTINGS if any(word in name for word in suspicious)] == []
    assert [name for name in ALLOWED_FORMATS if any(word in name.lower() for word in suspicious)] == []


def test_readonly_is_the_last_statement_of_a_new_session() -> None:
    statements = session_statements("sluice", "*", {"max_threads": "1", "output_format_json_quote_decimals": "1"})

    assert statements[0] == "USE `sluice`"
    assert "SET log_comment = '*'" in statements
    assert "SET max_threads = '1'" in statements
    assert statements[-1] == "SET readonly = 1"


@pytest.mark.parametrize(
    "settings",
    [
        {"readonly": "0"},
        {"allow_ddl": "1"},
        {"max_threads": "many"},
        {"log_comment": "*"},
        {"format_template_row": "x"},
        {"output_format_schema": "x"},
        {"format_schema_source": "query"},
        {"format_avro_schema_registry_url": "http://x"},
    ],
)
def test_setting_that_is_not_allowed_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(QueryError):
        session_statements("sluice", "*", settings)


def test_database_name_cannot_contain_sql() -> None:
    with pytest.raises(QueryError, match="UNKNOWN_DATABASE"):
        session_statements("a` SETTINGS b", "*", {})
