from __future__ import annotations

import pytest

from connectors.clickhouse.embedded.query_guard import ACCESS_DENIED, READONLY, QueryError, refusal, session_statements

REFUSED = frozenset({"url", "remote"})


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 'INTO OUTFILE', 'file('",
        "WITH 1 AS one SELECT one FROM numbers(3)",
        "SHOW TABLES",
        "EXPLAIN SELECT 1",
    ],
)
def test_reading_query_is_allowed(sql: str) -> None:
    assert refusal(sql, REFUSED) is None


@pytest.mark.parametrize(
    ("sql", "code"),
    [
        ("INSERT INTO t VALUES (1)", READONLY),
        ("SELECT 1 INTO OUTFILE 'x'", ACCESS_DENIED),
        ("SELECT * FROM url('http://x')", ACCESS_DENIED),
        ("SELECT file('/etc/passwd')", ACCESS_DENIED),
        ("SELECT * APPLY file FROM t", ACCESS_DENIED),
        ("SELECT aiGenerate('x')", ACCESS_DENIED),
    ],
)
def test_writing_query_and_external_function_are_refused(sql: str, code: int) -> None:
    refused = refusal(sql, REFUSED)

    assert refused is not None
    assert refused.code == code


def test_readonly_is_the_last_statement_of_a_new_session() -> None:
    statements = session_statements("sluice", "mark", {"max_threads": "1", "output_format_json_quote_decimals": "1"})

    assert statements[0] == "USE `sluice`"
    assert "SET max_threads = '1'" in statements
    assert statements[-1] == "SET readonly = 1"


@pytest.mark.parametrize("settings", [{"readonly": "0"}, {"allow_ddl": "1"}, {"max_threads": "many"}])
def test_setting_that_is_not_allowed_is_refused(settings: dict[str, str]) -> None:
    with pytest.raises(QueryError):
        session_statements("sluice", "mark", settings)


def test_database_name_cannot_contain_sql() -> None:
    with pytest.raises(QueryError, match="UNKNOWN_DATABASE"):
        session_statements("a` SETTINGS b", "mark", {})
