"""Notice that this process was held up, and be sure of nothing that it had until its group says so again.

Who was stopped for longer than the session lasts wakes up with partitions that another worker has had for a while, and
knows nothing of it. Deciding twice is harmless; paying a provider twice is not.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

BEAT_S = 0.5
HELD_UP_S = 4.0
"""A loop that did not come round for so long was held up. Less than half of the group's session, which is 10 s."""


class Pulse:
    """The beat of one worker's loop.

    Args:
        confirm: returns when the group has said which partitions are this worker's; the others are revoked by then.
        clock: seconds, of any clock that goes on while the process does not.

    """

    def __init__(self, confirm: Callable[[], Awaitable[None]], clock: Callable[[], float] = time.monotonic) -> None:
        self._confirm = confirm
        self._clock = clock
        self._last_s = clock()
        self._doubt: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Beat until cancelled."""
        while True:
            self._look()
            await asyncio.sleep(BEAT_S)

    async def sure(self) -> None:
        """Return at once, unless the process was held up: then when it is known again what is this worker's."""
        self._look()
        if self._doubt is not None:
            await asyncio.shield(self._doubt)

    def _look(self) -> None:
        now_s = self._clock()
        if now_s - self._last_s > HELD_UP_S and (self._doubt is None or self._doubt.done()):
            self._doubt = asyncio.ensure_future(self._confirm())
        self._last_s = now_s
        if self._doubt is not None and self._doubt.done():
            self._doubt = None
