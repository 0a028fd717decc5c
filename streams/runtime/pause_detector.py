"""Notice that this process was held up, and be sure of nothing that it had until its group says so again.

Who was stopped for longer than the session lasts wakes up with partitions that another worker has had for a while, and
knows nothing of it. Deciding twice is harmless; paying a provider twice is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

CHECK_INTERVAL_S = 0.5
PAUSE_THRESHOLD_S = 4.0
"""A loop that did not come round for so long was held up. Less than half of the group's session, which is 10 s."""


class PauseDetector:
    """The beat of one worker's loop.

    Args:
        confirm: returns when the group has said which partitions are this worker's; the others are revoked by then.
        clock: seconds, of any clock that goes on while the process does not.

    """

    def __init__(self, confirm: Callable[[], Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._confirm = confirm
        self._clock = clock
        self._last_s = clock()
        self._confirmation: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._check()
            await asyncio.sleep(CHECK_INTERVAL_S)

    async def wait_until_confirmed(self) -> None:
        """Return at once, unless the process was held up: then when it is known again what is this worker's."""
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
