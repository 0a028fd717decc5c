"""Adaptive concurrency limit of one target (AIMD). Pure: the caller passes the time.

Additive increase and multiplicative decrease, as in TCP: workers that share a target converge to equal shares without
communicating.
"""

from __future__ import annotations

from schemas.events.vocabulary import ErrorType

OVERLOAD_ERRORS: frozenset[ErrorType] = frozenset({"rate_limited", "capacity", "timeout"})
"""Errors that fewer concurrent calls may prevent."""
DECREASE_FACTOR = 0.7
MIN_LIMIT = 4
"""A lower limit would gain nothing, and would take long to grow again."""
UTILIZATION_TO_GROW = 0.5
"""The limit only grows while at least this share of it is in use."""


class AdaptiveConcurrencyLimit:
    """Limit of the concurrent calls to one target.

    Args:
        max_limit: the upper bound, and the initial value.

    """

    def __init__(self, max_limit: int) -> None:
        self._max_limit = max_limit
        self._min_limit = min(MIN_LIMIT, max_limit)
        self._limit = float(max_limit)
        self._decreased_s = float("-inf")

    @property
    def limit(self) -> int:
        """Maximum of calls in flight now."""
        return int(self._limit)

    def on_success(self, in_flight: int) -> None:
        """Raise the limit after an answer, if enough of it is in use.

        Args:
            in_flight: calls in flight when this one ended, itself included.

        """
        if in_flight >= self._limit * UTILIZATION_TO_GROW:
            self._limit = min(self._limit + 1 / self._limit, float(self._max_limit))

    def on_overload(self, in_flight: int, started_s: float, now_s: float) -> None:
        """Lower the limit after an overload error. Of the calls that were in flight together only the first counts.

        Args:
            in_flight: calls in flight when this one ended, itself included.
            started_s: when the call started, by any monotonic clock.
            now_s: by the same clock.

        """
        if started_s > self._decreased_s:
            self._limit = max(min(self._limit, in_flight) * DECREASE_FACTOR, self._min_limit)
            self._decreased_s = now_s
