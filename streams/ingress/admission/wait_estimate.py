"""Estimate of the latency of a new request, from the backlog and the throughput (Little's law). Pure.

The estimate is low rather than high, because a request that is rejected without need is worse than one that waits: of
several windows the one with the highest throughput counts.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

WINDOWS_S = (2.0, 30.0)
"""Windows of the throughput: a short one for a recent increase, a long one for requests that finish in bursts."""

NO_BACKLOG = 100
"""A smaller backlog gives no estimate: all of it may be long calls in progress."""


class BacklogSample(NamedTuple):
    """One measurement of the log."""

    at_s: float
    """Of any monotonic clock."""
    waiting: int
    """Unfinished requests of the interactive lane."""
    finished: int
    """Requests that have passed the call stage, counted from any origin."""
    batch: int
    """Unfinished requests of the batch lane."""


class WaitEstimator:
    """Samples of the last half minute, and the latency estimated from them."""

    def __init__(self) -> None:
        self.batch = 0
        self.waiting = 0
        self.wait_s = 0.0
        """Estimated latency of a new request, in seconds."""
        self._samples: deque[BacklogSample] = deque()
        self._progress_at_s = 0.0

    def observe(self, sample: BacklogSample) -> None:
        """Add a sample. A lower number of finished requests belongs to another log, and resets the estimate."""
        if self._samples and sample.finished < self._samples[-1].finished:
            self._samples.clear()
        if not self._samples or sample.finished > self._samples[-1].finished or not sample.waiting:
            self._progress_at_s = sample.at_s
        self._samples.append(sample)
        while self._samples[0].at_s < sample.at_s - max(WINDOWS_S):
            self._samples.popleft()
        self.batch, self.waiting = sample.batch, sample.waiting
        self.wait_s = self._estimate(sample)

    def forget(self) -> None:
        """Reset the estimate, because the log can't be measured."""
        self._samples.clear()
        self.batch = self.waiting = 0
        self.wait_s = 0.0

    def _estimate(self, last: BacklogSample) -> float:
        if last.waiting < NO_BACKLOG:
            return 0.0
        stuck_s = last.at_s - self._progress_at_s
        rate = max(self._rate(last, window_s) for window_s in WINDOWS_S)
        return max(stuck_s, last.waiting / rate) if rate > 0 else stuck_s

    def _rate(self, last: BacklogSample, window_s: float) -> float:
        first = next(sample for sample in self._samples if sample.at_s >= last.at_s - window_s)
        return (last.finished - first.finished) / (last.at_s - first.at_s) if last.at_s > first.at_s else 0.0
