"""Interval between fetches: no pause at low rates, up to 10 ms at high rates, so that fetches return more records.

A single record costs each stage about as much as ten records together. At high rates a pause of a few milliseconds
between fetches makes records arrive in batches, and adds less to a request's latency than the batches save.
"""

from __future__ import annotations

import math

MAX_PAUSE_S = 0.010
"""Longest pause between two fetches."""
FULL_RATE = 500.0
"""Records per second from which on the pause is the longest."""
RATE_WINDOW_S = 0.5
"""Time constant of the moving average of the rate."""


class FetchInterval:
    """Pauses between the fetches of one consumer."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._last_s = 0.0

    def record_fetch(self, records: int, now_s: float) -> None:
        """Note how many records a fetch returned."""
        self._rate = self._rate * math.exp((self._last_s - now_s) / RATE_WINDOW_S) + records / RATE_WINDOW_S
        self._last_s = now_s

    def pause_s(self, now_s: float) -> float:
        """Return the seconds to wait before the next fetch; 0 if the last one was long ago."""
        spacing_s = MAX_PAUSE_S * min(1.0, self._rate / FULL_RATE)
        return max(0.0, self._last_s + spacing_s - now_s)
