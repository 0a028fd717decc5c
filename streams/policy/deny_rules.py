"""Texts that may not go to a provider: words, and patterns that people write.

A pattern is matched by RE2, in time linear in the text whatever the pattern is: Python's own engine can be made to run
for years by thirty characters, and nothing can stop it while it does. So there is no lookaround and no backreference.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from streams.config.regex import compile_pattern

_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts whose words stand next to each other, or grow endings: there a word has no edge to look for."""


class Keywords:
    """Words to be found whole, in any case, however their own spaces are laid out."""

    def __init__(self, words: Iterable[str]) -> None:
        folded = [_normalize(word.strip()).casefold() for word in words]
        self._first_pieces = {word.split()[0] for word in folded}
        self._whole = re.compile("|".join(_whole_word(word) for word in folded))

    def matches(self, text: str) -> bool:
        """Whether one of the words stands in the text. The cheap look comes first: most texts hold none of them."""
        folded = text.casefold()
        return any(piece in folded for piece in self._first_pieces) and self._whole.search(folded) is not None


def _whole_word(word: str) -> str:
    before = r"(?<!\w)" if _has_edge(word[0]) else ""
    after = r"(?!\w)" if _has_edge(word[-1]) else ""
    return before + r"\s+".join(re.escape(piece) for piece in word.split()) + after


def _has_edge(char: str) -> bool:
    return not unicodedata.name(char, "").startswith(_WITHOUT_SPACES)


def _normalize(text: str) -> str:
    """Give one way of writing for each character: wide letters are letters, and an accent is part of its letter."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


class CompiledDenyRule:
    """One rule, compiled."""

    def __init__(self, name: str, words: Iterable[str], expression: str) -> None:
        self.rule = f"deny.{name}"
        self._keywords = Keywords(words) if (words := tuple(words)) else None
        self._pattern = compile_pattern(expression) if expression else None

    def matches(self, text: str) -> bool:
        """Whether the text holds one of the words, or fits the pattern somewhere."""
        text = _normalize(text)
        if self._keywords and self._keywords.matches(text):
            return True
        return self._pattern is not None and self._pattern.search(text) is not None
