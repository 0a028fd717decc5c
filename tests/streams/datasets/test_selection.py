from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest

from streams.datasets.selection import ExportError, ExportOptions, milliseconds, point_in_time, where_clause

NOW = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("7d", dt.datetime(2026, 11, 17, 12, 0, tzinfo=dt.UTC)),
        ("90m", dt.datetime(2026, 11, 24, 10, 30, tzinfo=dt.UTC)),
        ("2w", dt.datetime(2026, 11, 10, 12, 0, tzinfo=dt.UTC)),
        ("2026-11-01", dt.datetime(2026, 11, 1, tzinfo=dt.UTC)),
        ("2026-11-01T09:30Z", dt.datetime(2026, 11, 1, 9, 30, tzinfo=dt.UTC)),
        ("2026-11-01T09:30+02:00", dt.datetime(2026, 11, 1, 7, 30, tzinfo=dt.UTC)),
    ],
)
def test_time_is_iso_8601_or_an_age(typed: str, expected: dt.datetime) -> None:
    assert point_in_time(typed, NOW) == expected


@pytest.mark.parametrize("typed", ["", "yesterday", "7", "7y", "2026-13-01", "99999999999d"])
def test_invalid_time_is_an_error_with_examples(typed: str) -> None:
    with pytest.raises(ExportError, match=r"^invalid time .*: write 2026-11-24"):
        point_in_time(typed, NOW)


def test_user_input_is_a_parameter_and_never_sql() -> None:
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


@pytest.mark.parametrize(("label", "value"), [("team=a=b", "a=b"), ("team=", "")])
def test_label_with_equals_sign_matches_requests_that_have_it_with_this_value(label: str, value: str) -> None:
    where, parameters = where_clause(ExportOptions(out=Path("x.jsonl"), label=label), NOW)

    assert "mapContains(labels, {label_key:String}) AND labels[{label_key:String}] = {label_value:String}" in where
    assert (parameters["label_key"], parameters["label_value"]) == ("team", value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"out": Path("x.csv")}, r"--out must end in \.jsonl or \.parquet, not 'x\.csv'"),
        ({"format": "llama"}, "unknown format 'llama'; known: openai-sft"),
        ({"since": NOW, "until": NOW - dt.timedelta(days=1)}, "--since must be before --until"),
        ({"since": NOW, "until": NOW}, "--since must be before --until"),
        ({"label": ""}, "--label needs a name"),
        ({"label": "=v2"}, "--label needs a name"),
    ],
)
def test_invalid_option_is_an_error(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ExportError, match=message):
        ExportOptions(**{"out": Path("x.jsonl"), **options})
