"""The gate before one target, as this worker knows it: the way to its provider, and whether it is open now."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import get_args

from connectors.providers.provider import Answer, Provider, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.codegen.frozen_dataclass import fixed
from schemas.events.vocabulary import ErrorType, Lane
from streams.call.splitting.split_provider import WithinLimits
from streams.call.traffic.bulkhead import ONE, Room, portion
from streams.call.traffic.circuit_breaker import Breaker, Entry, StateChange
from streams.call.traffic.concurrency_limit import OVERLOAD, Concurrency
from streams.call.traffic.fair_share import Slots
from streams.call.traffic.load_balancing import PeakEwma
from streams.call.traffic.rate_limit import Cost, Learned, Pace
from streams.call.traffic.wait_queue import Line

FAULTS: frozenset[ErrorType] = frozenset({"capacity", "server", "network", "timeout"})
"""Errors that are the provider's: these open its breaker."""
OF_NO_CALL: frozenset[ErrorType] = frozenset({"server", "network", "timeout"})
"""Errors that say something about a provider that sent no response; all others without one are our own refusals."""
LANES: tuple[Lane, ...] = get_args(Lane)
PATIENCE_S = 30.0
"""A call that is cut off earlier, and before its target's timeout, was given too little time by its caller."""


@fixed
class Turn:
    """The leave to make one call. It must be given back."""

    entry: Entry
    cost: Cost
    lane: Lane
    began_s: float
    waited_s: float
    limit: int
    """On calls under way at once, as it was then."""


@fixed
class PassedOver:
    """The target is not to be called now."""

    reason: ErrorType
    """capacity: it is left alone, or too many wait for it. rate_limited: its turn would come too late."""
    retry_after_s: float


class Gate:
    """One target of one worker.

    Args:
        name: the provider's.
        provider: which is asked.
        settings: the provider's.
        room: for the calls to all targets of the provider.
        pace: the limits of the provider's key.
        slots: the worker's.
        batch_share: the part of what the target takes that the batch lane may have.
        on_change: told of every change of the breaker's state.
        clock: seconds that never go back.

    """

    def __init__(
        self,
        name: str,
        provider: Provider,
        settings: ProviderSettings,
        *,
        room: Room | None = None,
        pace: Pace | None = None,
        slots: Slots | None = None,
        batch_share: float = 1.0,
        on_change: Callable[[StateChange], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._room = room or Room(settings.max_in_flight)
        self._providers: dict[Lane, Provider] = {
            lane: WithinLimits(name, provider, settings, functools.partial(self._room.place, lane)) for lane in LANES
        }
        self._slots = slots or Slots(1, 1.0)
        self._batch_share = batch_share
        self._pace = pace or Pace(settings.rate_limit, clock())
        self._learned = Learned()
        self._concurrency = Concurrency(settings.max_in_flight)
        self._in_flight = 0
        self._batch = 0
        self._latency = PeakEwma()
        self._breaker = Breaker(settings.breaker, on_change)
        self._faults = FAULTS | {"rate_limited"} if settings.breaker.count_rate_limited else FAULTS
        self._clock = clock
        self._line = Line(self._take, self._give_back, self._foresee, self._room.crowd)

    def provider(self, lane: Lane) -> Provider:
        """The provider, for a call that has its turn: what more it needs, it takes from its own lane's."""
        return self._providers[lane]

    def closed_for_s(self) -> float:
        """How long nobody is let through; 0 if there is no such time."""
        return self._breaker.wait_s(self._clock())

    def burden_s(self) -> float:
        """How bad it would be to call now: latency times calls under way; inf while nobody is let through."""
        now_s = self._clock()
        return math.inf if self._breaker.wait_s(now_s) > 0 else self._latency.burden_s(self._in_flight, now_s)

    async def enter(self, left_s: float, cost: Cost = ONE, lane: Lane = "interactive") -> Turn | PassedOver | None:
        """Wait for the turn to call, at most ``left_s`` seconds; None if they were not enough."""
        came_s = self._clock()
        if (closed_s := self._breaker.wait_s(came_s)) > 0:
            return PassedOver("capacity", closed_s)
        if lane == "interactive" and (crowded_s := self._slots.retry_after_s(self._room.held, self._room.turnover_s())):
            return PassedOver("capacity", crowded_s)
        missing_s = await self._line.turn(cost, left_s, lane)
        if missing_s is not None:
            return PassedOver("rate_limited", missing_s) if missing_s != math.inf else None
        now_s = self._clock()
        entry = self._breaker.enter(now_s)
        if entry is None:  # it has opened meanwhile
            self._give_back(lane)
            return PassedOver("capacity", self.closed_for_s())
        return Turn(entry, cost, lane, now_s, now_s - came_s, self._concurrency.limit)

    def leave(self, turn: Turn, result: Answer | ProviderError | None, timeout_s: float) -> None:
        """Give the turn back.

        Args:
            turn: what ``enter`` gave.
            result: of the call; None if it was cancelled.
            timeout_s: what the target is allowed at most.

        """
        now_s = self._clock()
        failed = result.error_type if isinstance(result, ProviderError) and result.error_type in self._faults else None
        counted = _says_something(result, now_s - turn.began_s, timeout_s)
        self._breaker.leave(turn.entry, now_s, failed=failed if counted else None, counted=counted)
        if result is not None:
            self._learn(turn, result, now_s, counted=counted)
        self._give_back(turn.lane)

    def _take(self, cost: Cost, lane: Lane) -> float:
        """See ``Line``."""
        limit = self._concurrency.limit
        if self._in_flight >= limit or not self._room.has_place(lane):
            return math.inf
        if lane == "batch" and self._batch >= portion(limit, self._batch_share):
            return math.inf
        if (wait_s := self._wait_s(cost)) > 0:
            return wait_s
        self._room.take(lane)
        self._in_flight += 1
        self._batch += lane == "batch"
        self._pace.take(cost)
        self._learned.take(cost, self._pace.share)
        return 0.0

    def _wait_s(self, cost: Cost, *, in_all: bool = False) -> float:
        now_s = self._clock()
        paced_s = self._pace.wait_s(cost, now_s, in_all=in_all)
        return max(paced_s, self._learned.wait_s(cost, now_s, self._pace.share))

    def _foresee(self, cost: Cost) -> float:
        return self._wait_s(cost, in_all=True)

    def _give_back(self, lane: Lane) -> None:
        self._in_flight -= 1
        self._batch -= lane == "batch"
        self._room.release(lane)

    def _learn(self, turn: Turn, result: Answer | ProviderError, now_s: float, *, counted: bool) -> None:
        """Set right what was guessed of the tokens, and take in what the call shows of the provider's limits."""
        used = result.usage.input_tokens + result.usage.output_tokens
        self._pace.take(Cost(0.0, used - turn.cost.tokens))
        if result.rates is not None:
            self._learned.learn(result.rates, now_s)
        if isinstance(result, Answer):
            self._concurrency.answered(self._in_flight)
            self._latency.answered(now_s - turn.began_s, now_s)
        elif counted and result.error_type in FAULTS | OVERLOAD:
            self._latency.failed(now_s - turn.began_s, now_s)
            if result.error_type in OVERLOAD:
                self._concurrency.overloaded(self._in_flight, turn.began_s, now_s)


def _says_something(result: Answer | ProviderError | None, lasted_s: float, timeout_s: float) -> bool:
    """Whether this is the provider's doing, and not ours or the caller's."""
    if result is None:
        return False
    if isinstance(result, Answer) or result.http_status is not None:
        return True
    if result.error_type == "timeout":
        return lasted_s >= min(timeout_s, PATIENCE_S) * 0.9
    return result.error_type in OF_NO_CALL
