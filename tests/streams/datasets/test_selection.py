from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from streams.datasets.selection import ExportError, ExportOptions, milliseconds, point_in_time, where_clause

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("7d", dt.datetime(2026, 11, 17, 12, 0, tzinfo=dt.UTC)),
        ("90m", dt.datetime(2026, 11, 24, 10, 30, tzinfo=dt.UTC)),
        ("2w", dt.datetime(2026, 11, 10, 12, 0, tzinfo=dt.UTC)),
        ("2026-11-01", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ("2026-11-01T09:30Z", dt.datetime(2026, 11, 1, 9, 30, tzinfo=dt.UTC)),
        ("2026-11-01T09:30+02:00", dt.datetime(2026, 11, 1, 7, 30, tzinfo=dt.UTC)),
    ],
)
def test_a_time_is_iso_8601_or_how_long_ago(typed: str, meant: dt.datetime) -> None:
    assert point_in_time(typed, NOW) == meant


@pytest.mark.parametrize("typed", ["", "yesterday", "7", "7y", "2026-13-01", "99999999999d"])
def test_what_is_no_time_says_what_would_be_one(typed: str) -> None:
    with pytest.raises(ExportError, match="write one like"):
        point_in_time(typed, NOW)


def test_nothing_that_a_person_types_stands_in_the_query() -> None:
    typed = "'; DROP TABLE requests_log; --"
    options = ExportOptions(out=Path("x.jsonl"), tenant=typed, model=typed, label=typed, since=NOW)

    where, parameters = where_clause(options, NOW)

    assert typed not in where
    assert parameters == {
        "until_ms": milliseconds(NOW),
        "since_ms": milliseconds(NOW),
        "tenant": typed,
        "model": typed,
        "feedback_label": typed,
    }


def test_a_label_with_an_equals_sign_is_the_callers_own() -> None:
    where, parameters = where_clause(ExportOptions(out=Path("x.jsonl"), label="team=a=b"), NOW)

    assert "labels[{label_key:String}] = {label_value:String}" in where
    assert parameters["label_key"] == "team"
    assert parameters["label_value"] == "a=b"
