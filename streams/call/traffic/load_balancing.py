"""Call first who would answer soonest: by the latency of late, times those who wait for it already. Pure.

The latency is a peak EWMA, as Finagle's: a slow answer counts at once and in full, a fast one little by little. A
target that is not called grows cheaper with time, so that one that was slow is tried again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from schemas.events.parts import Plan, Target

DECAY_S = 10.0
"""After this time without a call a third of the latency is left."""
INITIAL_SCORE_S = 1.0
"""For a target that has calls under way and has answered none."""
FAILURE_PENALTY_S = 1.0
"""A failure is at least as bad as an answer after this time, and twice as bad as the latency of late."""


class PeakEwma:
    """The latency of one target. ``now_s`` is of any clock that never goes back."""

    def __init__(self) -> None:
        self._value_s = 0.0
        self._at_s: float | None = None

    def on_success(self, latency_s: float, now_s: float) -> None:
        """Take in how long an answer took."""
        kept = self._decayed(now_s) if latency_s < self._value_s else 0.0
        self._value_s = self._value_s * kept + latency_s * (1 - kept)
        self._at_s = now_s

    def on_failure(self, lasted_s: float, now_s: float) -> None:
        """Take in a failure, which would look fast if its time alone counted."""
        self.on_success(max(lasted_s, 2 * self._value_s * self._decayed(now_s), FAILURE_PENALTY_S), now_s)

    def load_score_s(self, in_flight: int, now_s: float) -> float:
        """How bad it would be to call now, with so many calls under way already."""
        if self._at_s is None:
            return INITIAL_SCORE_S * (in_flight + 1) if in_flight else 0.0
        return self._value_s * self._decayed(now_s) * (in_flight + 1)

    def _decayed(self, now_s: float) -> float:
        return 0.0 if self._at_s is None else math.exp(-max(0.0, now_s - self._at_s) / DECAY_S)


def order_by_load(plan: Plan, tried: Sequence[tuple[str, str]], burden_s: Callable[[Target], float]) -> Plan:
    """Put the targets of a plan in the order to call them; those that were tried stay in front, as they came.

    Args:
        plan: as route made it.
        tried: provider and model of each attempt so far, by other workers or before a crash.
        burden_s: of a target; inf if it is left alone.

    """

    def rank(placed: tuple[int, Target]) -> tuple[float, float, int]:
        place, target = placed
        name = (target.provider, target.model)
        return (tried.index(name), 0.0, place) if name in tried else (math.inf, burden_s(target), place)

    targets = tuple(target for _, target in sorted(enumerate(plan.targets), key=rank))
    return dataclasses.replace(plan, targets=targets)
