"""Tests of the check of a stream's order."""

from __future__ import annotations

import json

import pytest

from benchmarks.loads.streaming import PROMPT, in_order


def events(words: list[str], numbers: list[int] | None = None) -> bytes:
    numbers = list(range(len(words))) if numbers is None else numbers
    chunks = [json.dumps({"choices": [{"index": 0, "delta": {"content": word}}]}) for word in words]
    return "".join(f"id: {at}\ndata: {chunk}\n\n" for at, chunk in zip(numbers, chunks, strict=True)).encode()


WORDS = [word + " " for word in PROMPT.split()[:-1]] + PROMPT.split()[-1:]
SWAPPED = [WORDS[1], WORDS[0], *WORDS[2:]]


def test_words_of_the_prompt_are_in_order() -> None:
    assert in_order(events(WORDS) + b"data: [DONE]")


@pytest.mark.parametrize(
    "broken",
    [events(WORDS[:-1]), events(SWAPPED), events(WORDS, [1, 0, *range(2, len(WORDS))]), b"data: [DONE]"],
    ids=["one missing", "two swapped", "two numbers swapped", "none"],
)
def test_missing_or_swapped_words_are_not_in_order(broken: bytes) -> None:
    assert not in_order(broken)
