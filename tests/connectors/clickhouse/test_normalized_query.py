from __future__ import annotations

import pytest

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.normalized_query import RENDER, format_of, has_outfile, strip_wrapper

pytestmark = pytest.mark.flow


def rendered(clickhouse: ClickHouseClient, sql: str) -> str:
    (row,) = clickhouse.rows(f"{RENDER} AS one", {"sql": sql})
    return str(row["one"])


@pytest.mark.parametrize(
    ("sql", "named"),
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
def test_the_format_is_what_the_query_names_and_no_word_in_a_string(
    empty_clickhouse: ClickHouseClient, sql: str, named: str | None
) -> None:
    assert format_of(rendered(empty_clickhouse, sql)) == named


@pytest.mark.parametrize(
    ("sql", "writes"),
    [
        ("SELECT 1 INTO OUTFILE 'x'", True),
        ("select 1 into/**/outfile 'x' append format Null", True),
        ("EXPLAIN SELECT 1 INTO\nOUTFILE 'x'", True),
        ("SELECT 'INTO OUTFILE'", False),
        ("SELECT 1 -- INTO OUTFILE 'x'", False),
    ],
)
def test_a_query_writes_a_file_if_it_says_so_in_whatever_spelling(
    empty_clickhouse: ClickHouseClient, sql: str, writes: bool
) -> None:
    assert has_outfile(rendered(empty_clickhouse, sql)) is writes


def test_a_syntax_error_is_told_without_the_query_that_was_put_around() -> None:
    said = "Code: 62. DB::Exception: Syntax error: x: In scope SELECT formatQuerySingleLine('(a)'). (SYNTAX_ERROR)"

    assert strip_wrapper(said) == "Code: 62. DB::Exception: Syntax error: x. (SYNTAX_ERROR)"
