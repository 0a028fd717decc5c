"""Tests of the expansion of macros and variables."""

from __future__ import annotations

import pytest

from tests.dashboards.expander import UnknownMacroError, View, expand

VIEW = View(1_000, 2_000, interval_ms=30_000)
ACME = View(1_000, 2_000, selected={"tenant": ("acme", "o'neil")}, text={"request": "01ab"})


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        (
            "$__timeFilter_ms(at)",
            "at >= fromUnixTimestamp64Milli(1000) AND at <= fromUnixTimestamp64Milli(2000)",
        ),
        ("$__timeInterval(at)", "toStartOfInterval(toDateTime(at), INTERVAL 30 second)"),
        (
            "$__timeInterval($__fromTime_ms)",
            "toStartOfInterval(toDateTime(fromUnixTimestamp64Milli(1000)), INTERVAL 30 second)",
        ),
        ("count() / $__interval_s", "count() / 30"),
    ],
)
def test_macro_is_expanded_as_by_the_plugin(sql: str, expected: str) -> None:
    assert expand(sql, VIEW) == expected


def test_condition_is_true_without_a_selection() -> None:
    assert expand("$__conditionalAll(tenant IN (${tenant:singlequote}), $tenant)", VIEW) == "1=1"


def test_condition_quotes_the_selected_values() -> None:
    sql = "$__conditionalAll(tenant IN (${tenant:singlequote}), $tenant)"

    assert expand(sql, ACME) == r"tenant IN ('acme','o\'neil')"


def test_text_box_is_inserted_unchanged() -> None:
    assert expand("startsWith(id, '$request')", ACME) == "startsWith(id, '01ab')"


@pytest.mark.parametrize("sql", ["$__timeFliter_ms(at)", "$__unixEpochFilter(at)", "$__interval"])
def test_unknown_macro_is_an_error(sql: str) -> None:
    with pytest.raises(UnknownMacroError):
        expand(sql, VIEW)
