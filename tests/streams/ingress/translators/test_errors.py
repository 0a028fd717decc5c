from __future__ import annotations

import pytest

from streams.ingress.translators.errors import invalid, safe_name


def test_error_names_the_invalid_part() -> None:
    error = invalid("tools[0]", "must be an object")

    assert (error.param, error.message) == ("tools[0]", "tools[0] must be an object")


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("web_search_20250305", "web_search_20250305"),
        ("Call me at 555", "unknown"),
        ("a" * 41, "unknown"),
        ([], "unknown"),
    ],
)
def test_only_identifiers_are_repeated_in_errors(said: object, told: str) -> None:
    assert safe_name(said) == told
