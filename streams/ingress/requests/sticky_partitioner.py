"""Sticky partitioner: uses one partition for a moment, so that concurrent requests share batches in every stage."""

from __future__ import annotations

import time
from collections.abc import Callable

STICKY_S = 0.04
"""Time for which one partition is used. Requests of that time form one batch at every hop."""


class StickyPartitioner:
    """Rotates through the partitions, at most once per ``STICKY_S``.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._index = 0
        self._since_s = clock()

    def choose(self, count: int) -> int:
        """Return the current partition, from 0 to ``count`` - 1."""
        now_s = self._clock()
        if now_s - self._since_s >= STICKY_S:
            self._index += 1
            self._since_s = now_s
        return self._index % count
