"""One target as this worker knows it: the way to its provider, and whether it is taken now."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from connectors.providers.provider import Answer, Provider, ProviderError, ProviderSettings
from schemas.events import ErrorType
from streams.breaker import Breaker, Entry, StateChange
from streams.parts import WithinLimits

FAULTS: frozenset[ErrorType] = frozenset({"capacity", "server", "network", "timeout"})
"""Errors that are the provider's: these open its breaker."""
OF_NO_CALL: frozenset[ErrorType] = frozenset({"server", "network", "timeout"})
"""Errors that say something about a provider that sent no response; all others without one are our own refusals."""
PATIENCE_S = 30.0
"""A call that is cut off earlier, and before its target's timeout, was given too little time by its caller."""


@dataclass(frozen=True, slots=True)
class Turn:
    """The leave to make one call. It must be given back."""

    entry: Entry
    began_s: float


@dataclass(frozen=True, slots=True)
class PassedOver:
    """The target is not to be called now."""

    retry_after_s: float


class Lane:
    """One target of one worker.

    Args:
        name: the provider's.
        provider: which is asked.
        settings: the provider's.
        room: for the calls to all targets of the provider.
        on_change: told of every change of the breaker's state.
        clock: seconds that never go back.

    """

    def __init__(
        self,
        name: str,
        provider: Provider,
        settings: ProviderSettings,
        room: asyncio.Semaphore,
        *,
        on_change: Callable[[StateChange], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.provider = WithinLimits(name, provider, settings, room)
        self._breaker = Breaker(settings.breaker, on_change)
        self._faults = FAULTS | {"rate_limited"} if settings.breaker.count_rate_limited else FAULTS
        self._room = room
        self._clock = clock

    def closed_for_s(self) -> float:
        """How long nobody is let through; 0 if there is no such time."""
        return self._breaker.wait_s(self._clock())

    async def enter(self, left_s: float) -> Turn | PassedOver | None:
        """Wait for the turn to call, at most ``left_s`` seconds; None if they were not enough."""
        if (closed_s := self.closed_for_s()) > 0:
            return PassedOver(closed_s)
        if not await self._found_room(left_s):
            return None
        now_s = self._clock()
        entry = self._breaker.enter(now_s)
        if entry is None:  # it has opened meanwhile
            self._room.release()
            return PassedOver(self.closed_for_s())
        return Turn(entry, now_s)

    def leave(self, turn: Turn, result: Answer | ProviderError | None, timeout_s: float) -> None:
        """Give the turn back.

        Args:
            turn: what ``enter`` gave.
            result: of the call; None if it was cancelled.
            timeout_s: what the target is allowed at most.

        """
        self._room.release()
        now_s = self._clock()
        failed = result.error_type if isinstance(result, ProviderError) and result.error_type in self._faults else None
        counted = _says_something(result, now_s - turn.began_s, timeout_s)
        self._breaker.leave(turn.entry, now_s, failed=failed if counted else None, counted=counted)

    async def _found_room(self, left_s: float) -> bool:
        if left_s <= 0:
            return False
        if not self._room.locked():  # the usual case, which needs no timer
            return await self._room.acquire()
        try:
            async with asyncio.timeout(left_s):
                return await self._room.acquire()
        except TimeoutError:
            return False


def _says_something(result: Answer | ProviderError | None, lasted_s: float, timeout_s: float) -> bool:
    """Whether this is the provider's doing, and not ours or the caller's."""
    if result is None:
        return False
    if isinstance(result, Answer) or result.http_status is not None:
        return True
    if result.error_type == "timeout":
        return lasted_s >= min(timeout_s, PATIENCE_S) * 0.9
    return result.error_type in OF_NO_CALL
