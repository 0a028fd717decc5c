from __future__ import annotations

import pytest

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.normalized_query import RENDER, format_of, has_outfile, strip_wrapper

pytestmark = pytest.mark.flow


def normalize(clickhouse: ClickHouseClient, sql: str) -> str:
    (row,) = clickhouse.rows(f"{RENDER} AS one", {"sql": sql})
    return str(row["one"])


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", None),
        ("SELECT 1 -- FORMAT TSV", None),
        ("SELECT 'FORMAT TSV'", None),
        ("SELECT 1 AS `FORMAT TSV`", None),
        ("SELECT 1 SETTINGS log_comment = 'FORMAT TSV'", None),
        ("SELECT 1\nformat TSV;", "TSV"),
        ("SELECT 1 FORMAT Null", "Null"),
        ("SELECT 1 FORMAT TSV SETTINGS log_comment = 'a FORMAT b'", "TSV"),
        ("SELECT 1 SETTINGS max_threads = 1 FORMAT Null", "Null"),
    ],
)
def test_format_of_ignores_strings_comments_and_aliases(
    empty_clickhouse: ClickHouseClient, sql: str, expected: str | None
) -> None:
    assert format_of(normalize(empty_clickhouse, sql)) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 INTO OUTFILE 'x'", True),
        ("select 1 into/**/outfile 'x' append format Null", True),
        ("EXPLAIN SELECT 1 INTO\nOUTFILE 'x'", True),
        ("SELECT 'INTO OUTFILE'", False),
        ("SELECT 1 -- INTO OUTFILE 'x'", False),
    ],
)
def test_has_outfile_detects_every_spelling_outside_strings_and_comments(
    empty_clickhouse: ClickHouseClient, sql: str, expected: bool
) -> None:
    assert has_outfile(normalize(empty_clickhouse, sql)) is expected


def test_strip_wrapper_removes_the_wrapper_query_from_a_syntax_error() -> None:
    message = "Code: 62. DB::Exception: Syntax error: x: In scope SELECT formatQuerySingleLine('(a)'). (SYNTAX_ERROR)"

    assert strip_wrapper(message) == "Code: 62. DB::Exception: Syntax error: x. (SYNTAX_ERROR)"
