"""How long a request that comes now would take, by how many are before it and how fast those end. Pure.

Little's law: what is in a system, by what leaves it in a second, is the time that one spends there. It is told low
rather than high, since who is refused for nothing is worse off than who waits: of several windows the fastest counts.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOWS_S = (2.0, 30.0)
"""Over which it is counted how many have ended: one for when it gets faster, one for when they end in bursts."""

NO_BACKLOG = 100
"""So few say nothing: they may all be calls that take long."""


class BacklogSample(NamedTuple):
    """What one look at the log has found."""

    at_s: float
    """Of any clock that never goes back."""
    waiting: int
    """Requests of the interactive lane that have no end yet."""
    finished: int
    """Such that have passed the call stage, counted from anywhere."""
    batch: int
    """Requests of the batch lane that have no end yet."""


class WaitEstimator:
    """The looks of the last half minute, and what follows from them."""

    def __init__(self) -> None:
        self.batch = 0
        self.waiting = 0
        self.wait_s = 0.0
        """About how long one that comes now would be under way."""
        self._samples: deque[BacklogSample] = deque()
        self._moved_s = 0.0

    def observe(self, sample: BacklogSample) -> None:
        """Take in a look. One that finds fewer finished than before is of another log, and begins anew."""
        if self._samples and sample.finished < self._samples[-1].finished:
            self._samples.clear()
        if not self._samples or sample.finished > self._samples[-1].finished or not sample.waiting:
            self._moved_s = sample.at_s
        self._samples.append(sample)
        while self._samples[0].at_s < sample.at_s - max(WINDOWS_S):
            self._samples.popleft()
        self.batch, self.waiting = sample.batch, sample.waiting
        self.wait_s = self._estimate(sample)

    def forget(self) -> None:
        """Nobody can be asked: say nothing until somebody can."""
        self._samples.clear()
        self.batch = self.waiting = 0
        self.wait_s = 0.0

    def _estimate(self, last: BacklogSample) -> float:
        if last.waiting < NO_BACKLOG:
            return 0.0
        stuck_s = last.at_s - self._moved_s
        rate = max(self._rate(last, window_s) for window_s in WINDOWS_S)
        return max(stuck_s, last.waiting / rate) if rate > 0 else stuck_s

    def _rate(self, last: BacklogSample, window_s: float) -> float:
        first = next(sample for sample in self._samples if sample.at_s >= last.at_s - window_s)
        return (last.finished - first.finished) / (last.at_s - first.at_s) if last.at_s > first.at_s else 0.0
