"""How often a consumer fetches: at once while little comes, less often the more comes, so that more comes at a time.

A record by itself costs every hop about as much as ten together. When requests come fast, a pause of a few milliseconds
between fetches makes them come in batches, and what it adds to a request's time is less than what the batches save.
"""

from __future__ import annotations

import math

MAX_PAUSE_S = 0.010
"""Between two fetches, however much comes."""
FULL_RATE = 500.0
"""Records per second from which the pause is the longest."""
RATE_WINDOW_S = 0.5
"""Over how long the rate is taken."""


class FetchInterval:
    """The pauses between the fetches of one consumer."""

    def __init__(self) -> None:
        self._rate = 0.0
        self._last_s = 0.0

    def record_fetch(self, records: int, now_s: float) -> None:
        """A fetch brought so many records."""
        self._rate = self._rate * math.exp((self._last_s - now_s) / RATE_WINDOW_S) + records / RATE_WINDOW_S
        self._last_s = now_s

    def pause_s(self, now_s: float) -> float:
        """How long to wait before the next fetch: nothing if the last one was long ago."""
        spacing_s = MAX_PAUSE_S * min(1.0, self._rate / FULL_RATE)
        return max(0.0, self._last_s + spacing_s - now_s)
