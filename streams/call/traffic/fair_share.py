"""Dynamic threshold: bounds how many of a worker's requests one provider may hold.

A provider that stalls thus leaves capacity for others. The bound moves with the free capacity, as in the shared buffer
of a switch (dynamic thresholds): the provider that holds most is stopped first, and some capacity stays free however
many providers stall. Pure.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

FAST_DRAIN_S = 5.0
"""A provider whose requests drain within this time is exempt: it frees the capacity soon anyway."""
MAX_RETRY_AFTER_S = 30.0


class DynamicThreshold:
    """Threshold over the requests that one worker has in flight.

    Args:
        total: maximum of concurrent requests.
        share: share of them that one provider may hold while the others hold none; 1 disables the threshold.

    """

    def __init__(self, total: int, share: float) -> None:
        self.in_use = 0
        self._total = total
        self._factor = share / (1 - share) if share < 1 else math.inf

    @contextlib.contextmanager
    def track(self) -> Iterator[None]:
        """Count a request as in flight."""
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1

    @property
    def allowance(self) -> float:
        """Requests that one provider may hold now."""
        free = self._total - self.in_use
        return self._factor * free if free > 0 else 0.0

    def retry_after_s(self, held: int, drain_time_s: float) -> float | None:
        """Return after how many seconds a rejected request may come again; None if it is not rejected.

        Args:
            held: requests that its provider holds.
            drain_time_s: estimate of how long these take to end.

        """
        if self._factor == math.inf or held <= self.allowance or drain_time_s <= FAST_DRAIN_S:
            return None
        return min(drain_time_s, MAX_RETRY_AFTER_S)
