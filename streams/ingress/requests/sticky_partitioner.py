"""Whose turn it is among partitions: each for a moment, so that what comes in together stays together to its end."""

from __future__ import annotations

import time
from collections.abc import Callable

STICKY_S = 0.04
"""How long a turn lasts. Written to one partition at a time, all that comes meanwhile is one batch in every hop."""


class StickyPartitioner:
    """Counts on from moment to moment; with nothing to do, from one call to the next.

    Args:
        clock: seconds that never go back.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._turn = 0
        self._began_s = clock()

    def choose(self, count: int) -> int:
        """Which of so many it is now, from 0."""
        now_s = self._clock()
        if now_s - self._began_s >= STICKY_S:
            self._turn += 1
            self._began_s = now_s
        return self._turn % count
