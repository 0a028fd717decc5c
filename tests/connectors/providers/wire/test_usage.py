from __future__ import annotations

import pytest

from connectors.providers.wire.usage import openai_usage, token_count
from schemas.events.parts import Usage

USAGE = Usage(
    input_tokens=10,
    output_tokens=5,
    cache_read_input_tokens=4,
    cache_creation_input_tokens=2,
    reasoning_output_tokens=1,
)


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"n": 3}, 3),
        ({"n": 3.0}, 3),
        ({"n": -3}, 0),
        ({"n": True}, 0),
        ({"n": "3"}, 0),
        ({"n": float("inf")}, 0),
        ({"n": None}, 0),
        ({}, 0),
        (None, 0),
    ],
)
def test_token_count_of_an_invalid_value_is_zero(counts: object, expected: int) -> None:
    assert token_count(counts, "n") == expected


def test_openai_usage_has_only_the_requested_details() -> None:
    assert openai_usage(USAGE) == {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    assert openai_usage(USAGE, "cached_tokens", "reasoning_tokens") == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 1},
    }
