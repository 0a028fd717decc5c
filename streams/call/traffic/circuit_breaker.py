"""Circuit breaker of one target. Pure: the caller passes the time.

Closed: calls go through, and their results are counted over a sliding window. Open: no call goes through until the
cool-down is over. Half open: a few probes go through; the circuit closes when all of them succeed. One that fails opens
it again, for longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from connectors.providers.resilience import BreakerSettings
from schemas.events.vocabulary import ErrorType, TargetState

SLICES = 10
"""Parts of the window. Results that are older than the window are forgotten one part at a time."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """Transition of a circuit breaker to another state."""

    state: TargetState
    reason: str
    """Class of the last failure when the circuit opens; ``probing`` or ``recovered`` otherwise."""
    failure_ratio: float
    """Over the window before the change."""
    cooldown_s: float
    """Seconds during which no call goes through; 0 unless open."""


class BreakerPermit(NamedTuple):
    """Permission for one call; ``release`` takes it back."""

    generation: int
    """Number of state changes when it was granted."""


class CircuitBreaker:
    """Circuit breaker. Every permit from ``acquire`` must be passed to ``release`` once.

    Args:
        settings: when to open, and for how long.
        on_change: called at once on every change of state.

    """

    def __init__(self, settings: BreakerSettings, on_change: Callable[[StateChange], None] = lambda _: None) -> None:
        self.state: TargetState = "closed"
        self._settings = settings
        self._on_change = on_change
        self._window = _Window(settings.window_s)
        self._generation = 0
        self._times_opened = 0
        """In a row, without a recovery: the cool-down doubles with each."""
        self._open_until_s = 0.0
        self._probes_in_flight = self._probes_succeeded = 0

    def wait_s(self, now_s: float) -> float:
        """Return for how many seconds no call goes through; 0 if one does now.

        While all probes are in flight, that time is unknown, and the cool-down is returned.
        """
        if self.state == "closed":
            return 0.0
        if self.state == "open":
            return max(0.0, self._open_until_s - now_s)
        has_probe_left = self._probes_in_flight + self._probes_succeeded < self._settings.probes
        return 0.0 if has_probe_left else self._settings.cooldown_s

    def acquire(self, now_s: float) -> BreakerPermit | None:
        """Return a permit, or None while no call goes through. ``now_s`` is of any monotonic clock."""
        if self.wait_s(now_s) > 0:
            return None
        if self.state == "open":
            self._change("half_open", "probing", 0.0)
        if self.state == "half_open":
            self._probes_in_flight += 1
        return BreakerPermit(self._generation)

    def release(
        self, permit: BreakerPermit, now_s: float, *, failed: ErrorType | None = None, counted: bool = True
    ) -> None:
        """Record the result of a call.

        Args:
            permit: from ``acquire``.
            now_s: by the same clock as for ``acquire``.
            failed: class of a failure that is the provider's fault.
            counted: False if the call says nothing about the provider: cancelled, or refused before it was made.

        """
        if permit.generation != self._generation:  # granted in an earlier state, which has been decided already
            return
        if self.state == "half_open":
            self._release_probe(now_s, failed, counted=counted)
        elif counted:
            self._window.add(now_s, failed=failed is not None)
            if failed is not None and self._is_threshold_reached(now_s):
                self._open(now_s, failed)

    def _is_threshold_reached(self, now_s: float) -> bool:
        calls, failures = self._window.totals(now_s)
        return calls >= self._settings.min_calls and failures >= calls * self._settings.failure_ratio

    def _release_probe(self, now_s: float, failed: ErrorType | None, *, counted: bool) -> None:
        self._probes_in_flight -= 1
        if failed is not None:
            self._open(now_s, failed)
        elif counted:
            self._probes_succeeded += 1
            if self._probes_succeeded >= self._settings.probes:
                self._times_opened = 0
                self._window.clear()
                self._change("closed", "recovered", 0.0)

    def _open(self, now_s: float, failed: ErrorType) -> None:
        calls, failures = self._window.totals(now_s)
        cooldown_s = min(self._settings.cooldown_s * 2.0 ** min(self._times_opened, 30), self._settings.max_cooldown_s)
        self._times_opened += 1
        self._open_until_s = now_s + cooldown_s
        self._window.clear()
        self._change("open", failed, failures / calls if calls else 1.0, cooldown_s)

    def _change(self, state: TargetState, reason: str, failure_ratio: float, cooldown_s: float = 0.0) -> None:
        self.state = state
        self._generation += 1
        self._probes_in_flight = self._probes_succeeded = 0
        self._on_change(StateChange(state, reason, failure_ratio, cooldown_s))


class _Window:
    """Sliding window that counts calls and failures."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._slice_s = length_s / SLICES
        self._slices: deque[list[float]] = deque()
        """Start, calls and failures of each slice."""
        self._calls = self._failures = 0

    def add(self, now_s: float, *, failed: bool) -> None:
        self._forget(now_s)
        if not self._slices or now_s - self._slices[-1][0] >= self._slice_s:
            self._slices.append([now_s, 0, 0])
        self._slices[-1][1] += 1
        self._slices[-1][2] += failed
        self._calls += 1
        self._failures += failed

    def totals(self, now_s: float) -> tuple[int, int]:
        self._forget(now_s)
        return self._calls, self._failures

    def clear(self) -> None:
        self._slices.clear()
        self._calls = self._failures = 0

    def _forget(self, now_s: float) -> None:
        while self._slices and now_s - self._slices[0][0] >= self._length_s:
            _, calls, failures = self._slices.popleft()
            self._calls -= int(calls)
            self._failures -= int(failures)
