"""How many of the requests that a worker has under way one provider may hold: one that stalls leaves room for others.

The bound moves with what is free, as that of a switch's shared buffer does (dynamic thresholds): whoever holds most is
stopped first, and however many stall, something is left. Pure.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator

FAST_DRAIN_S = 5.0
"""Who is through with all that it holds so fast may hold more: that is over before it hurts anybody."""
MAX_RETRY_AFTER_S = 30.0


class DynamicThreshold:
    """So many, in all.

    Args:
        total: requests at once.
        share: the part of them that one provider may hold while the others hold none; 1: there is no such bound.

    """

    def __init__(self, total: int, share: float) -> None:
        self.in_use = 0
        self._total = total
        self._factor = share / (1 - share) if share < 1 else math.inf

    @contextlib.contextmanager
    def track(self) -> Iterator[None]:
        """Be one of those under way."""
        self.in_use += 1
        try:
            yield
        finally:
            self.in_use -= 1

    @property
    def allowance(self) -> float:
        """How many a provider may hold now."""
        free = self._total - self.in_use
        return self._factor * free if free > 0 else 0.0

    def retry_after_s(self, held: int, turnover_s: float) -> float | None:
        """Say when one who is too many shall come again; None if it may stay.

        Args:
            held: by the provider that it wants.
            turnover_s: about how long until all of these have ended.

        """
        if self._factor == math.inf or held <= self.allowance or turnover_s <= FAST_DRAIN_S:
            return None
        return min(turnover_s, MAX_RETRY_AFTER_S)
