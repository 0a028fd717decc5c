"""Detector of process pauses: after a pause, the worker acts only when its group has confirmed its partitions.

A process that was paused for longer than the session timeout still believes that it owns partitions which another
worker already has. Processing a record twice is harmless; a second paid call to a provider is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

CHECK_INTERVAL_S = 0.5
PAUSE_THRESHOLD_S = 4.0
"""A loop that ran no check for this long was paused. Less than half of the group's session timeout, which is 10 s."""


class PauseDetector:
    """Periodic check of one worker's event loop.

    Args:
        confirm: returns when the group has confirmed this worker's partitions; the others are revoked by then.
        clock: seconds, of any clock that continues while the process is paused.

    """

    def __init__(self, confirm: Callable[[], Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._confirm = confirm
        self._clock = clock
        self._last_s = clock()
        self._confirmation: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Check until cancelled."""
        while True:
            self._check()
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def wait_until_confirmed(self) -> None:
        """Return at once, unless the process was paused: then when the group has confirmed the partitions."""
        self._check()
        if self._confirmation is not None:
            await asyncio.shield(self._confirmation)

    def _check(self) -> None:
        now_s = self._clock()
        if now_s - self._last_s > PAUSE_THRESHOLD_S and (self._confirmation is None or self._confirmation.done()):
            self._confirmation = asyncio.ensure_future(self._confirm())
        self._last_s = now_s
        if self._confirmation is not None and self._confirmation.done():
            self._confirmation = None
