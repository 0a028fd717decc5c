"""Latency-based load balancing: orders targets by recent latency times calls in flight (peak EWMA). Pure.

As in Finagle, a slow answer counts at once and in full, a fast one gradually. The latency of a target that is not
called decays, so that a target that was slow is tried again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence

from schemas.events.parts import Plan, Target

DECAY_S = 10.0
"""Time after which a third of the latency is left if the target is not called."""
INITIAL_SCORE_S = 1.0
"""Latency assumed of a target that has calls in flight and no answer yet."""
FAILURE_PENALTY_S = 1.0
"""A failure counts as an answer after at least this time, and after at least twice the recent latency."""


class PeakEwma:
    """Latency estimate of one target. ``now_s`` is of any monotonic clock."""

    def __init__(self) -> None:
        self._value_s = 0.0
        self._updated_s: float | None = None

    def on_success(self, latency_s: float, now_s: float) -> None:
        """Record the latency of an answer."""
        weight = self._decay(now_s) if latency_s < self._value_s else 0.0
        self._value_s = self._value_s * weight + latency_s * (1 - weight)
        self._updated_s = now_s

    def on_failure(self, duration_s: float, now_s: float) -> None:
        """Record a failure, which would look fast if only its duration counted."""
        self.on_success(max(duration_s, 2 * self._value_s * self._decay(now_s), FAILURE_PENALTY_S), now_s)

    def load_score_s(self, in_flight: int, now_s: float) -> float:
        """Return the load of the target with this many calls in flight; lower is better."""
        if self._updated_s is None:
            return INITIAL_SCORE_S * (in_flight + 1) if in_flight else 0.0
        return self._value_s * self._decay(now_s) * (in_flight + 1)

    def _decay(self, now_s: float) -> float:
        return 0.0 if self._updated_s is None else math.exp(-max(0.0, now_s - self._updated_s) / DECAY_S)


def order_by_load(plan: Plan, tried: Sequence[tuple[str, str]], load_score_s: Callable[[Target], float]) -> Plan:
    """Order the targets of a plan by load. Targets that were tried already stay in front, in the order of the attempts.

    Args:
        plan: from the route stage.
        tried: provider and model of each attempt so far, also by other workers or before a crash.
        load_score_s: load of a target; inf while its circuit is open.

    """

    def rank(item: tuple[int, Target]) -> tuple[float, float, int]:
        index, target = item
        name = (target.provider, target.model)
        return (tried.index(name), 0.0, index) if name in tried else (math.inf, load_score_s(target), index)

    targets = tuple(target for _, target in sorted(enumerate(plan.targets), key=rank))
    return dataclasses.replace(plan, targets=targets)
