"""Throttle of the batch lane: a pause after each slice of records, proportional to the lag of the event loop.

A loop that should run a callback after a millisecond runs it later if it has other work, or if other processes use the
CPUs. The lag therefore measures the load without knowledge of the machine's speed or of its other processes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MEASURE_INTERVAL_S = 0.001
"""Delay of the callback that measures the lag after a slice."""
TOLERATED_LAG_S = 0.002
"""A lag up to this much causes no pause."""
PAUSE_FACTOR = 20.0
"""Seconds of pause for each second of lag."""
MAX_PAUSE_S = 1.0
"""Longest pause, so that the batch lane always makes progress."""
INTERACTIVE_WINDOW_S = 10.0
"""There is no pause if the last interactive record came longer ago than this."""


class BatchThrottle:
    """Decides when the next slice of the batch lane may start.

    Args:
        on_resume: called when a pause is over.

    """

    def __init__(self, on_resume: Callable[[], None]) -> None:
        self._on_resume = on_resume
        self._last_interactive_s = float("-inf")
        self.is_pausing = False
        """True while no slice may start."""

    def interactive_seen(self) -> None:
        """Note that an interactive record came."""
        self._last_interactive_s = asyncio.get_running_loop().time()

    def pause(self) -> None:
        """Start no other slice until the lag was measured."""
        self.is_pausing = True

    def measure_lag(self) -> None:
        """Measure the lag after a slice, and end the pause accordingly."""
        asyncio.get_running_loop().call_soon(self._schedule)  # after the callbacks that the slice has scheduled

    def _schedule(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + MEASURE_INTERVAL_S
        loop.call_at(due_s, self._measure, due_s)

    def _measure(self, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        lag_s = now_s - due_s
        if lag_s <= TOLERATED_LAG_S or now_s - self._last_interactive_s > INTERACTIVE_WINDOW_S:
            self._resume()
        else:
            loop.call_later(min(PAUSE_FACTOR * lag_s, MAX_PAUSE_S), self._resume)

    def _resume(self) -> None:
        self.is_pausing = False
        self._on_resume()
