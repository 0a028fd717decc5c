from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.providers.wire.think_tags import ThinkTags


def read(*pieces: str) -> tuple[str, str]:
    tags = ThinkTags()
    parts = [tags.feed(piece) for piece in pieces]
    parts.append(tags.feed("", last=True))
    return "".join(reasoning for reasoning, _ in parts), "".join(text for _, text in parts)


@pytest.mark.parametrize(
    ("said", "reasoning", "text"),
    [
        ("Hello!", "", "Hello!"),
        ("  Hello!", "", "  Hello!"),
        ("<think>They greet.</think>\n\nHello!", "They greet.", "Hello!"),
        ("\n<think>\nThey greet.\n</think>Hello!", "They greet.\n", "Hello!"),
        ("<think></think>Hello!", "", "Hello!"),
        ("<think>cut short by the limit", "cut short by the limit", ""),
        ("<think>a < b </thin", "a < b </thin", ""),
        ("<thi", "", "<thi"),
        ("The tag <think> is text here</think>", "", "The tag <think> is text here</think>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
        ("", "", ""),
    ],
)
def test_leading_reasoning_is_separated_from_text(said: str, reasoning: str, text: str) -> None:
    assert read(said) == (reasoning, text)


PIECES = st.lists(
    st.sampled_from(["<think>", "</think>", "<", "</", "th", "ink>", "\n", " ", "a", "word"]), max_size=12
)


@given(PIECES)
@example(["<think>", "\n"])
def test_result_does_not_depend_on_the_cuts(pieces: list[str]) -> None:
    whole = "".join(pieces)

    assert read(*pieces) == read(whole) == read(*whole)


@given(st.text(max_size=30).filter(lambda text: not text.lstrip().startswith("<think>")))
def test_text_without_a_tag_is_unchanged(text: str) -> None:
    assert read(*text) == ("", text)
