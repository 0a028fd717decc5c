"""Room for so many calls at once to one provider, whatever the target."""

from __future__ import annotations

import math

from streams.line import Line
from streams.pacing import Cost

ONE = Cost()


class Room:
    """Counts calls under way, and wakes those who wait when one ends. ``async with`` it to wait for a place."""

    def __init__(self, limit: int) -> None:
        self.crowd: dict[Line, None] = {}
        """The lines in which somebody waits for this room, and perhaps for more."""
        self._limit = limit
        self._taken = 0
        self._line = Line(lambda _: 0.0 if self.take() else math.inf, self.release, lambda _: 0.0, self.crowd)

    @property
    def free(self) -> int:
        """How many places there are."""
        return self._limit - self._taken

    def take(self) -> bool:
        """Take a place, if there is one."""
        if self._taken >= self._limit:
            return False
        self._taken += 1
        return True

    def release(self) -> None:
        """Give a place back."""
        self._taken -= 1
        for line in tuple(self.crowd):
            line.wake()

    async def __aenter__(self) -> None:
        """Wait for a place."""
        await self._line.turn(ONE)

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self.release()
