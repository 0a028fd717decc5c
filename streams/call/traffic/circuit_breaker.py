"""Leave a target alone that fails, and find out by a few calls when it is back. Pure: the caller brings the time.

Closed: all calls go through, and are counted over a sliding window. Open: none go through until the cool-down is over.
Half open: a few probes go through; all of them must succeed, and one that fails opens it again, for longer.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from connectors.providers.resilience import BreakerSettings
from schemas.events.vocabulary import ErrorType, TargetState

SLICES = 10
"""Parts of the window. What is older than it is forgotten a part at a time."""


@dataclass(frozen=True, slots=True)
class StateChange:
    """The breaker went from one state to another."""

    state: TargetState
    reason: str
    """The class of the last failure; of a recovery, that the probes succeeded or are due."""
    failure_ratio: float
    """Over the window before the change."""
    cooldown_s: float
    """How long no call goes through from now on; 0 unless open."""


class BreakerPermit(NamedTuple):
    """A call that was let through. ``leave`` wants it back."""

    generation: int


class CircuitBreaker:
    """The breaker of one target. Every ``enter`` that lets a call through must be followed by one ``leave``.

    Args:
        settings: when to open, and for how long.
        on_change: told of every change of state, at once.

    """

    def __init__(self, settings: BreakerSettings, on_change: Callable[[StateChange], None] = lambda _: None) -> None:
        self.state: TargetState = "closed"
        self._settings = settings
        self._on_change = on_change
        self._window = _Window(settings.window_s)
        self._generation = 0
        self._opened = 0
        """How often in a row: the cool-down grows with it."""
        self._until_s = 0.0
        self._probing = self._proven = 0

    def wait_s(self, now_s: float) -> float:
        """How long no call goes through; 0 if one does now. While all probes are out, nobody knows: the cool-down."""
        if self.state == "closed":
            return 0.0
        if self.state == "open":
            return max(0.0, self._until_s - now_s)
        return 0.0 if self._probing + self._proven < self._settings.probes else self._settings.cooldown_s

    def acquire(self, now_s: float) -> BreakerPermit | None:
        """Let a call through, or not. ``now_s`` is of any clock that never goes back."""
        if self.wait_s(now_s) > 0:
            return None
        if self.state == "open":
            self._change("half_open", "probing", 0.0)
        if self.state == "half_open":
            self._probing += 1
        return BreakerPermit(self._generation)

    def release(
        self, entry: BreakerPermit, now_s: float, *, failed: ErrorType | None = None, counted: bool = True
    ) -> None:
        """Say how a call ended.

        Args:
            entry: what ``enter`` gave.
            now_s: as for ``enter``.
            failed: the class of a failure that is the provider's.
            counted: False if the call says nothing about the provider: cancelled, or refused before it was made.

        """
        if entry.generation != self._generation:  # let through in an earlier state, which was judged already
            return
        if self.state == "half_open":
            self._probed(now_s, failed, counted=counted)
        elif counted:
            self._window.add(now_s, failed=failed is not None)
            if failed is not None and self._is_broken(now_s):
                self._open(now_s, failed)

    def _is_broken(self, now_s: float) -> bool:
        calls, failures = self._window.totals(now_s)
        return calls >= self._settings.min_calls and failures >= calls * self._settings.failure_ratio

    def _probed(self, now_s: float, failed: ErrorType | None, *, counted: bool) -> None:
        self._probing -= 1
        if failed is not None:
            self._open(now_s, failed)
        elif counted:
            self._proven += 1
            if self._proven >= self._settings.probes:
                self._opened = 0
                self._window.clear()
                self._change("closed", "recovered", 0.0)

    def _open(self, now_s: float, failed: ErrorType) -> None:
        calls, failures = self._window.totals(now_s)
        cooldown_s = min(self._settings.cooldown_s * 2.0 ** min(self._opened, 30), self._settings.max_cooldown_s)
        self._opened += 1
        self._until_s = now_s + cooldown_s
        self._window.clear()
        self._change("open", failed, failures / calls if calls else 1.0, cooldown_s)

    def _change(self, state: TargetState, reason: str, ratio: float, cooldown_s: float = 0.0) -> None:
        self.state = state
        self._generation += 1
        self._probing = self._proven = 0
        self._on_change(StateChange(state, reason, ratio, cooldown_s))


class _Window:
    """Calls and failures of the last seconds."""

    def __init__(self, length_s: float) -> None:
        self._length_s = length_s
        self._slice_s = length_s / SLICES
        self._slices: deque[list[float]] = deque()
        """Begin, calls, failures."""
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
