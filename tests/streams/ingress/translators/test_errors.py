from __future__ import annotations

import pytest

from streams.ingress.translators.errors import invalid, safe_name


def test_the_part_that_is_at_fault_is_named() -> None:
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
def test_only_what_looks_like_a_name_is_repeated(said: object, told: str) -> None:
    assert safe_name(said) == told
