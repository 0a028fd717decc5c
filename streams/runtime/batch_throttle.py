"""How the batch lane leaves the machine to those who wait: it rests after every slice, the longer the busier it is.

How busy, a loop tells by itself: asked to come round in a millisecond it comes later, since it has other work, or since
other processes have the processors. Nobody has to say how fast a machine is, or who else is on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

MEASURE_INTERVAL_S = 0.001
"""A slice being over, the loop should come round in this time."""
TOLERATED_LAG_S = 0.002
"""As much later is no sign of anything."""
PAUSE_FACTOR = 20.0
"""For each second that it came too late the batch lane rests so many."""
MAX_PAUSE_S = 1.0
"""It never rests longer at a time, so that it goes on in any case."""
INTERACTIVE_WINDOW_S = 10.0
"""Who waited so long ago is no reason to rest."""


class BatchThrottle:
    """Says when the next slice of the batch lane may be begun.

    Args:
        wake: told when it may again.

    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._met_s = float("-inf")
        self.is_pausing = False
        """Whether no slice may be begun now."""

    def interactive_seen(self) -> None:
        """Somebody came who waits."""
        self._met_s = asyncio.get_running_loop().time()

    def pause(self) -> None:
        """Begin no other slice for now."""
        self.is_pausing = True

    def measure_lag(self) -> None:
        """See how busy everything is, now that the slice has been thought about, and rest accordingly."""
        asyncio.get_running_loop().call_soon(self._ask)  # behind what the slice has set going itself

    def _ask(self) -> None:
        loop = asyncio.get_running_loop()
        due_s = loop.time() + MEASURE_INTERVAL_S
        loop.call_at(due_s, self._look, due_s)

    def _look(self, due_s: float) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        late_s = now_s - due_s
        if late_s <= TOLERATED_LAG_S or now_s - self._met_s > INTERACTIVE_WINDOW_S:
            self._go_on()
        else:
            loop.call_later(min(PAUSE_FACTOR * late_s, MAX_PAUSE_S), self._go_on)

    def _go_on(self) -> None:
        self.is_pausing = False
        self._wake()
