"""Deny rules: keywords and patterns of texts that may not go to a provider.

Patterns are matched by RE2, whose time is linear in the length of the text for every pattern. Python's own engine can
run for years on thirty characters and can't be interrupted. So lookaround and backreferences are not supported.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from streams.config.regex import compile_pattern

_WITHOUT_SPACES = ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "THAI", "LAO", "KHMER", "MYANMAR")
"""Scripts that do not separate words by spaces, or that add endings: they have no word boundary."""


class Keywords:
    """Matches whole words, in any case and with any whitespace between the parts of a keyword."""

    def __init__(self, words: Iterable[str]) -> None:
        keywords = [_normalize(word.strip()).casefold() for word in words]
        self._first_pieces = {word.split()[0] for word in keywords}
        self._whole = re.compile("|".join(_whole_word(word) for word in keywords))

    def matches(self, text: str) -> bool:
        """Return whether the text contains a keyword. A cheap substring test comes first: most texts contain none."""
        folded = text.casefold()
        return any(piece in folded for piece in self._first_pieces) and self._whole.search(folded) is not None


def _whole_word(word: str) -> str:
    before = r"(?<!\w)" if _has_boundary(word[0]) else ""
    after = r"(?!\w)" if _has_boundary(word[-1]) else ""
    return before + r"\s+".join(re.escape(piece) for piece in word.split()) + after


def _has_boundary(char: str) -> bool:
    return not unicodedata.name(char, "").startswith(_WITHOUT_SPACES)


def _normalize(text: str) -> str:
    """Normalize to NFKC: full-width letters become letters, and an accent becomes part of its letter."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text)


class CompiledDenyRule:
    """One compiled deny rule."""

    def __init__(self, name: str, words: Iterable[str], expression: str) -> None:
        self.rule = f"deny.{name}"
        self._keywords = Keywords(words) if (words := tuple(words)) else None
        self._pattern = compile_pattern(expression) if expression else None

    def matches(self, text: str) -> bool:
        """Return whether the text contains a keyword or matches the pattern."""
        text = _normalize(text)
        if self._keywords and self._keywords.matches(text):
            return True
        return self._pattern is not None and self._pattern.search(text) is not None
