"""Separation of text and reasoning that a model writes between <think> and </think>, as the text arrives."""

from __future__ import annotations

from typing import Literal

OPEN, CLOSE = "<think>", "</think>"


class ThinkTags:
    """State of one choice's text, which arrives in pieces of any size.

    Only tags at its very beginning count; later ones are text.
    """

    def __init__(self) -> None:
        self.pending = ""
        """Text that may be the beginning of a tag."""
        self._state: Literal["start", "opening", "reasoning", "gap", "text"] = "start"

    def feed(self, piece: str, *, last: bool = False) -> tuple[str, str]:
        """Return the reasoning and the text that are certain after this piece."""
        if self._state == "text":
            return "", piece
        text, self.pending, reasoning = self.pending + piece, "", ""
        if self._state == "start":
            text = self._begin(text, last=last)
        if self._state == "opening":  # line breaks after the tag may arrive later than the tag
            text = text.lstrip("\n")
            self._state = "reasoning" if text else "opening"
        if self._state == "reasoning":
            reasoning, text = self._think(text, last=last)
        if self._state == "gap":
            text = text.lstrip()
            self._state = "text" if text else "gap"
        return reasoning, text

    def _begin(self, text: str, *, last: bool) -> str:
        bare = text.lstrip()
        if bare.startswith(OPEN):
            self._state = "opening"
            return bare.removeprefix(OPEN)
        if OPEN.startswith(bare) and not last:
            self.pending = text
            return ""
        self._state = "text"
        return text

    def _think(self, text: str, *, last: bool) -> tuple[str, str]:
        reasoning, found, rest = text.partition(CLOSE)
        if found:
            self._state = "gap"
            return reasoning, rest
        kept = 0 if last else _overlap(text)
        self.pending = text[len(text) - kept :]
        return text[: len(text) - kept], ""


def _overlap(text: str) -> int:
    """Return the length of the text's end that may be the beginning of the closing tag."""
    return next((size for size in range(len(CLOSE) - 1, 0, -1) if text.endswith(CLOSE[:size])), 0)
