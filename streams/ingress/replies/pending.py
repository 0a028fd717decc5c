"""Pending replies: HTTP calls that wait for a reply, by correlation id."""

from __future__ import annotations

import asyncio
import enum
from typing import Self

from streams.ingress.errors import unavailable
from streams.ingress.replies.reader import Reply


class WaitEnd(enum.Enum):
    """Reasons why a wait ended without a reply."""

    TIMED_OUT = "the deadline passed"
    CLIENT_DISCONNECTED = "the client disconnected"
    CLOSING = "the ingress is stopping"


class PendingReply:
    """Wait of one caller, from before its request is published until its reply arrives or the wait ends without one."""

    def __init__(self, pending: PendingReplies, correlation: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._pending = pending
        self._correlation = correlation
        self._end: asyncio.Future[Reply | WaitEnd] = loop.create_future()
        self._reply: Reply | None = None
        self._timer = loop.call_later(seconds, self.resolve, WaitEnd.TIMED_OUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._pending.remove(self._correlation)

    def resolve(self, end: Reply | WaitEnd) -> None:
        """End the wait. A reply that arrives after another end, before the caller has resumed, replaces that end."""
        if isinstance(end, Reply):
            self._reply = end
        if not self._end.done():
            self._end.set_result(end)

    async def wait(self) -> Reply | WaitEnd:
        """Wait for the reply or for the end of the wait."""
        end = await asyncio.shield(self._end)  # cancelling one wait must not cancel the future
        return self._reply or end


class PendingReplies:
    """All waiting callers of this instance, at most ``limit``."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[str, PendingReply] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def check(self) -> None:
        """Check that one more caller may wait.

        Raises:
            ApiError: 503, the limit is reached.

        """
        if len(self._waiting) >= self._limit:
            raise unavailable("overloaded", f"The limit of waiting callers is reached: {self._limit}. Retry later.")

    def register(self, correlation: str, seconds: float) -> PendingReply:
        """Start a wait of at most this many seconds. Use the result as a context manager, which removes it."""
        pending = self._waiting[correlation] = PendingReply(self, correlation, seconds)
        return pending

    def remove(self, correlation: str) -> None:
        """Remove a caller. Its reply, if it still arrives, is not delivered."""
        del self._waiting[correlation]

    def resolve(self, reply: Reply) -> bool:
        """Deliver a reply to its caller; False if no caller waits for it."""
        pending = self._waiting.get(reply.correlation)
        if pending is None:
            return False
        pending.resolve(reply)
        return True

    def abort_all(self) -> None:
        """End all waits because the ingress stops; the requests continue."""
        for pending in self._waiting.values():
            pending.resolve(WaitEnd.CLOSING)
