"""The gate before one target, as this worker knows it: the way to its provider, and whether it is open now."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable
from typing import get_args

from connectors.providers.provider import Provider, ProviderAnswer, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.vocabulary import ErrorType, Lane
from streams.call.splitting.split_provider import SplittingProvider
from streams.call.traffic.bulkhead import _INTERACTIVE_UNIT, Bulkhead, share_of
from streams.call.traffic.circuit_breaker import BreakerPermit, CircuitBreaker, StateChange
from streams.call.traffic.concurrency_limit import OVERLOAD_ERRORS, AdaptiveConcurrencyLimit
from streams.call.traffic.fair_share import DynamicThreshold
from streams.call.traffic.load_balancing import PeakEwma
from streams.call.traffic.rate_limit import ConfiguredRateLimit, ObservedRateLimit, RequestCost
from streams.call.traffic.wait_queue import WaitQueue

TARGET_FAULTS: frozenset[ErrorType] = frozenset({"capacity", "server", "network", "timeout"})
"""Errors that are the provider's: these open its breaker."""
FAULTS_WITHOUT_RESPONSE: frozenset[ErrorType] = frozenset({"server", "network", "timeout"})
"""Errors that say something about a provider that sent no response; all others without one are our own refusals."""
LANES: tuple[Lane, ...] = get_args(Lane)
RATE_LIMIT_WAIT_S = 30.0
"""A call that is cut off earlier, and before its target's timeout, was given too little time by its caller."""


@frozen_slots
class Permit:
    """The leave to make one call. It must be given back."""

    entry: BreakerPermit
    cost: RequestCost
    lane: Lane
    began_s: float
    waited_s: float
    limit: int
    """On calls under way at once, as it was then."""


@frozen_slots
class Rejection:
    """The target is not to be called now."""

    reason: ErrorType
    """capacity: it is left alone, or too many wait for it. rate_limited: its turn would come too late."""
    retry_after_s: float


class TargetController:
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
        room: Bulkhead | None = None,
        pace: ConfiguredRateLimit | None = None,
        slots: DynamicThreshold | None = None,
        batch_share: float = 1.0,
        on_change: Callable[[StateChange], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bulkhead = room or Bulkhead(settings.max_in_flight)
        self._providers: dict[Lane, Provider] = {
            lane: SplittingProvider(name, provider, settings, functools.partial(self._bulkhead.acquire, lane))
            for lane in LANES
        }
        self._threshold = slots or DynamicThreshold(1, 1.0)
        self._batch_share = batch_share
        self._configured_limit = pace or ConfiguredRateLimit(settings.rate_limit, clock())
        self._observed_limit = ObservedRateLimit()
        self._concurrency = AdaptiveConcurrencyLimit(settings.max_in_flight)
        self._in_flight = 0
        self._batch = 0
        self._latency = PeakEwma()
        self._breaker = CircuitBreaker(settings.breaker, on_change)
        self._faults = TARGET_FAULTS | {"rate_limited"} if settings.breaker.count_rate_limited else TARGET_FAULTS
        self._clock = clock
        self._queue = WaitQueue(self._try_acquire, self._give_back, self._estimate_wait, self._bulkhead.waiters)

    def provider(self, lane: Lane) -> Provider:
        """The provider, for a call that has its turn: what more it needs, it takes from its own lane's."""
        return self._providers[lane]

    def retry_after_s(self) -> float:
        """How long nobody is let through; 0 if there is no such time."""
        return self._breaker.wait_s(self._clock())

    def load_score_s(self) -> float:
        """How bad it would be to call now: latency times calls under way; inf while nobody is let through."""
        now_s = self._clock()
        return math.inf if self._breaker.wait_s(now_s) > 0 else self._latency.load_score_s(self._in_flight, now_s)

    async def acquire(
        self, left_s: float, cost: RequestCost = _INTERACTIVE_UNIT, lane: Lane = "interactive"
    ) -> Permit | Rejection | None:
        """Wait for the turn to call, at most ``left_s`` seconds; None if they were not enough."""
        came_s = self._clock()
        if (closed_s := self._breaker.wait_s(came_s)) > 0:
            return Rejection("capacity", closed_s)
        if lane == "interactive" and (
            crowded_s := self._threshold.retry_after_s(self._bulkhead.in_use, self._bulkhead.drain_time_s())
        ):
            return Rejection("capacity", crowded_s)
        missing_s = await self._queue.acquire(cost, left_s, lane)
        if missing_s is not None:
            return Rejection("rate_limited", missing_s) if missing_s != math.inf else None
        now_s = self._clock()
        entry = self._breaker.acquire(now_s)
        if entry is None:  # it has opened meanwhile
            self._give_back(lane)
            return Rejection("capacity", self.retry_after_s())
        return Permit(entry, cost, lane, now_s, now_s - came_s, self._concurrency.limit)

    def release(self, turn: Permit, result: ProviderAnswer | ProviderError | None, timeout_s: float) -> None:
        """Give the turn back.

        Args:
            turn: what ``enter`` gave.
            result: of the call; None if it was cancelled.
            timeout_s: what the target is allowed at most.

        """
        now_s = self._clock()
        failed = result.error_type if isinstance(result, ProviderError) and result.error_type in self._faults else None
        counted = _counts_for_breaker(result, now_s - turn.began_s, timeout_s)
        self._breaker.release(turn.entry, now_s, failed=failed if counted else None, counted=counted)
        if result is not None:
            self._observe(turn, result, now_s, counted=counted)
        self._give_back(turn.lane)

    def _try_acquire(self, cost: RequestCost, lane: Lane) -> float:
        """See ``WaitQueue``."""
        limit = self._concurrency.limit
        if self._in_flight >= limit or not self._bulkhead.has_capacity(lane):
            return math.inf
        if lane == "batch" and self._batch >= share_of(limit, self._batch_share):
            return math.inf
        if (wait_s := self._wait_s(cost)) > 0:
            return wait_s
        self._bulkhead.try_acquire(lane)
        self._in_flight += 1
        self._batch += lane == "batch"
        self._configured_limit.consume(cost)
        self._observed_limit.consume(cost, self._configured_limit.share)
        return 0.0

    def _wait_s(self, cost: RequestCost, *, in_all: bool = False) -> float:
        now_s = self._clock()
        paced_s = self._configured_limit.wait_s(cost, now_s, in_all=in_all)
        return max(paced_s, self._observed_limit.wait_s(cost, now_s, self._configured_limit.share))

    def _estimate_wait(self, cost: RequestCost) -> float:
        return self._wait_s(cost, in_all=True)

    def _give_back(self, lane: Lane) -> None:
        self._in_flight -= 1
        self._batch -= lane == "batch"
        self._bulkhead.release(lane)

    def _observe(self, turn: Permit, result: ProviderAnswer | ProviderError, now_s: float, *, counted: bool) -> None:
        """Set right what was guessed of the tokens, and take in what the call shows of the provider's limits."""
        used = result.usage.input_tokens + result.usage.output_tokens
        self._configured_limit.consume(RequestCost(0.0, used - turn.cost.tokens))
        if result.rates is not None:
            self._observed_limit.observe(result.rates, now_s)
        if isinstance(result, ProviderAnswer):
            self._concurrency.on_success(self._in_flight)
            self._latency.on_success(now_s - turn.began_s, now_s)
        elif counted and result.error_type in TARGET_FAULTS | OVERLOAD_ERRORS:
            self._latency.on_failure(now_s - turn.began_s, now_s)
            if result.error_type in OVERLOAD_ERRORS:
                self._concurrency.on_overload(self._in_flight, turn.began_s, now_s)


def _counts_for_breaker(result: ProviderAnswer | ProviderError | None, lasted_s: float, timeout_s: float) -> bool:
    """Whether this is the provider's doing, and not ours or the caller's."""
    if result is None:
        return False
    if isinstance(result, ProviderAnswer) or result.http_status is not None:
        return True
    if result.error_type == "timeout":
        return lasted_s >= min(timeout_s, RATE_LIMIT_WAIT_S) * 0.9
    return result.error_type in FAULTS_WITHOUT_RESPONSE
