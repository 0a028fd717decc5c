from __future__ import annotations

import pytest

from tests.dashboards.expander import UnknownMacroError, View, expand

VIEW = View(1_000, 2_000, interval_ms=30_000)
ACME = View(1_000, 2_000, chosen={"tenant": ("acme", "o'neil")}, text={"request": "01ab"})


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
def test_a_macro_becomes_what_the_plugin_makes_of_it(sql: str, expected: str) -> None:
    assert expand(sql, VIEW) == expected


def test_a_condition_holds_for_everything_while_nothing_is_chosen() -> None:
    assert expand("$__conditionalAll(tenant IN (${tenant:singlequote}), $tenant)", VIEW) == "1=1"


def test_a_condition_names_what_is_chosen_and_quotes_it() -> None:
    sql = "$__conditionalAll(tenant IN (${tenant:singlequote}), $tenant)"

    assert expand(sql, ACME) == r"tenant IN ('acme','o\'neil')"


def test_a_text_box_is_put_in_as_it_is() -> None:
    assert expand("startsWith(id, '$request')", ACME) == "startsWith(id, '01ab')"


@pytest.mark.parametrize("sql", ["$__timeFliter_ms(at)", "$__unixEpochFilter(at)", "$__interval"])
def test_what_nothing_would_replace_is_a_mistake(sql: str) -> None:
    with pytest.raises(UnknownMacroError):
        expand(sql, VIEW)
