"""The callers that wait for a reply, each known by its correlation id."""

from __future__ import annotations

import asyncio
import enum
from typing import Self

from streams.ingress.errors import unavailable
from streams.ingress.replies.reader import Reply


class WaitEnd(enum.Enum):
    """Why a wait ended with nothing."""

    TIMED_OUT = "the deadline passed"
    CLIENT_DISCONNECTED = "the caller went away"
    CLOSING = "the ingress is stopping"


class PendingReply:
    """One caller's wait, from before its request is written until its reply is here, or it is known that none comes."""

    def __init__(self, waiters: PendingReplies, correlation: str, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        self._waiters = waiters
        self._correlation = correlation
        self._end: asyncio.Future[Reply | WaitEnd] = loop.create_future()
        self._reply: Reply | None = None
        self._timer = loop.call_later(seconds, self.resolve, WaitEnd.TIMED_OUT)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        self._waiters.remove(self._correlation)

    def resolve(self, by: Reply | WaitEnd) -> None:
        """End the wait. Only a reply still counts if it comes second, in the moment before the caller goes."""
        if isinstance(by, Reply):
            self._reply = by
        if not self._end.done():
            self._end.set_result(by)

    async def wait(self) -> Reply | WaitEnd:
        """Wait for the end."""
        end = await asyncio.shield(self._end)  # a wait that is given up ends nothing
        return self._reply or end


class PendingReplies:
    """All who wait at this instance, at most ``limit`` at once."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._waiting: dict[str, PendingReply] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def check(self) -> None:
        """Let one more caller wait.

        Raises:
            RefusedError: 503, there are too many already.

        """
        if len(self._waiting) >= self._limit:
            raise unavailable("overloaded", f"As many callers wait as may: {self._limit}. Try again in a moment.")

    def register(self, correlation: str, seconds: float) -> PendingReply:
        """Start to wait, for at most this long. Use the waiter as a context, so that it always leaves."""
        waiter = self._waiting[correlation] = PendingReply(self, correlation, seconds)
        return waiter

    def remove(self, correlation: str) -> None:
        """Forget a caller: its reply, if it still comes, finds nobody."""
        del self._waiting[correlation]

    def resolve(self, reply: Reply) -> bool:
        """Give a reply to its caller; False if nobody waits for it."""
        waiter = self._waiting.get(reply.correlation)
        if waiter is None:
            return False
        waiter.resolve(reply)
        return True

    def abort_all(self) -> None:
        """The ingress stops: send everybody away, their requests go on without them."""
        for waiter in self._waiting.values():
            waiter.resolve(WaitEnd.CLOSING)
