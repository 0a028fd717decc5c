"""Who waits for the same thing, in however many lines: who gives something back wakes all of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from schemas.events import Lane


class Waiting(Protocol):
    """A line with somebody in it: ``streams.line``."""

    def wake(self) -> None:
        """Let in who can be let in."""
        ...


class Crowd:
    """The lines, and how many in them go first."""

    def __init__(self) -> None:
        self.lines: dict[Waiting, None] = {}
        self.interactive = 0
        """How many wait of this lane."""

    def wake(self) -> None:
        """Let in who can be let in: something was given back."""
        for line in tuple(self.lines):
            line.wake()

    @contextlib.contextmanager
    def joined(self, lane: Lane) -> Iterator[None]:
        """Be counted among those who wait."""
        self.interactive += lane == "interactive"
        try:
            yield
        finally:
            self.interactive -= lane == "interactive"
            if lane == "interactive" and not self.interactive:
                self.wake()  # it is the turn of those behind
