"""Find out how many calls at once a target can take: a little more while all goes well, much less when it is too much.

Additive increase and multiplicative decrease, as TCP does: those who share a target come to fair shares without a word.
Pure: the caller brings the time.
"""

from __future__ import annotations

from schemas.events.vocabulary import ErrorType

OVERLOAD_ERRORS: frozenset[ErrorType] = frozenset({"rate_limited", "capacity", "timeout"})
"""Errors that fewer calls at once may help against."""
DECREASE_FACTOR = 0.7
MIN_LIMIT = 4
"""Below this nothing is gained, and the way back up would be long."""
UTILIZATION_TO_GROW = 0.5
"""An answer says that more may be possible only if so much of the limit was in use."""


class AdaptiveConcurrencyLimit:
    """The limit of one target.

    Args:
        most: what it never exceeds, and where it begins.

    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = min(MIN_LIMIT, most)
        self._limit = float(most)
        self._decreased_s = float("-inf")

    @property
    def limit(self) -> int:
        """How many calls may be under way at once."""
        return int(self._limit)

    def on_success(self, in_flight: int) -> None:
        """Take in that a call went well.

        Args:
            in_flight: how many were under way when it ended, itself included.

        """
        if in_flight >= self._limit * UTILIZATION_TO_GROW:
            self._limit = min(self._limit + 1 / self._limit, float(self._most))

    def on_overload(self, in_flight: int, began_s: float, now_s: float) -> None:
        """Take in that a call was too much. Of all that were under way at once only the first counts.

        Args:
            in_flight: as for ``answered``.
            began_s: when the call began, by any clock that never goes back.
            now_s: the same.

        """
        if began_s > self._decreased_s:
            self._limit = max(min(self._limit, in_flight) * DECREASE_FACTOR, self._least)
            self._decreased_s = now_s
