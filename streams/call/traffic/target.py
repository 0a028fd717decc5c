"""Traffic control of one target: circuit breaker, bulkhead, rate limits and adaptive concurrency limit together."""

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
from streams.call.traffic.bulkhead import Bulkhead, share_of
from streams.call.traffic.circuit_breaker import BreakerPermit, CircuitBreaker, StateChange
from streams.call.traffic.concurrency_limit import OVERLOAD_ERRORS, AdaptiveConcurrencyLimit
from streams.call.traffic.fair_share import DynamicThreshold
from streams.call.traffic.load_balancing import PeakEwma
from streams.call.traffic.rate_limit import ONE_REQUEST, ConfiguredRateLimit, ObservedRateLimit, RequestCost
from streams.call.traffic.wait_queue import WaitQueue

TARGET_FAULTS: frozenset[ErrorType] = frozenset({"capacity", "server", "network", "timeout"})
"""Errors that are the provider's fault: they open the circuit breaker."""
FAULTS_WITHOUT_RESPONSE: frozenset[ErrorType] = frozenset({"server", "network", "timeout"})
"""Errors that count against a provider although it sent no response. Any other error without a response was raised by
the gateway itself."""
LANES: tuple[Lane, ...] = get_args(Lane)
SHORT_DEADLINE_S = 30.0
"""A timeout counts against the provider if the call had this time or the target's own timeout, whichever is shorter;
otherwise the caller's deadline was too short."""


@frozen_slots
class Permit:
    """Permission to make one call. It must be released."""

    breaker_permit: BreakerPermit
    cost: RequestCost
    lane: Lane
    started_s: float
    waited_s: float
    in_flight_limit: int
    """The concurrency limit when the permit was granted."""


@frozen_slots
class Rejection:
    """The target must not be called now."""

    reason: ErrorType
    """``capacity``: the circuit is open, or the provider holds too many requests. ``rate_limited``: the rate limit
    would admit the call only after the deadline."""
    retry_after_s: float


class TargetController:
    """Decides when one worker may call one target.

    Args:
        provider_name: configured name of the provider.
        provider: client of the provider.
        settings: of the provider.
        bulkhead: shared by all targets of the provider.
        rate_limit: configured limits, shared by all targets of the provider.
        threshold: bounds how many of the worker's requests one provider may hold.
        batch_share: share of the target's concurrency limit that the batch lane may use.
        on_change: called on every state change of the circuit breaker.
        clock: monotonic seconds.

    """

    def __init__(
        self,
        provider_name: str,
        provider: Provider,
        settings: ProviderSettings,
        *,
        bulkhead: Bulkhead | None = None,
        rate_limit: ConfiguredRateLimit | None = None,
        threshold: DynamicThreshold | None = None,
        batch_share: float = 1.0,
        on_change: Callable[[StateChange], None] = lambda _: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bulkhead = bulkhead or Bulkhead(settings.max_in_flight)
        self._providers: dict[Lane, Provider] = {
            lane: SplittingProvider(provider_name, provider, settings, functools.partial(self._bulkhead.acquire, lane))
            for lane in LANES
        }
        self._threshold = threshold or DynamicThreshold(1, 1.0)
        self._batch_share = batch_share
        self._configured_limit = rate_limit or ConfiguredRateLimit(settings.rate_limit, clock())
        self._observed_limit = ObservedRateLimit()
        self._concurrency = AdaptiveConcurrencyLimit(settings.max_in_flight)
        self._in_flight = 0
        self._batch_in_flight = 0
        self._latency = PeakEwma()
        self._breaker = CircuitBreaker(settings.breaker, on_change)
        self._faults = TARGET_FAULTS | {"rate_limited"} if settings.breaker.count_rate_limited else TARGET_FAULTS
        self._clock = clock
        self._queue = WaitQueue(self._try_acquire, self._release, self._estimate_wait, self._bulkhead.waiters)

    def provider(self, lane: Lane) -> Provider:
        """Return the provider for a call with a permit. The parts of a split call take permits of the same lane."""
        return self._providers[lane]

    def retry_after_s(self) -> float:
        """Return for how long the circuit breaker rejects calls; 0 if it does not."""
        return self._breaker.wait_s(self._clock())

    def load_score_s(self) -> float:
        """Return latency times calls in flight, the lower the better; inf while the circuit is open."""
        now_s = self._clock()
        return math.inf if self._breaker.wait_s(now_s) > 0 else self._latency.load_score_s(self._in_flight, now_s)

    async def acquire(
        self, timeout_s: float, cost: RequestCost = ONE_REQUEST, lane: Lane = "interactive"
    ) -> Permit | Rejection | None:
        """Wait for a permit, at most ``timeout_s`` seconds; return None if that was not enough."""
        requested_s = self._clock()
        if (open_s := self._breaker.wait_s(requested_s)) > 0:
            return Rejection("capacity", open_s)
        if lane == "interactive" and (
            retry_after_s := self._threshold.retry_after_s(self._bulkhead.in_use, self._bulkhead.drain_time_s())
        ):
            return Rejection("capacity", retry_after_s)
        wait_s = await self._queue.acquire(cost, timeout_s, lane)
        if wait_s is not None:
            return Rejection("rate_limited", wait_s) if wait_s != math.inf else None
        now_s = self._clock()
        breaker_permit = self._breaker.acquire(now_s)
        if breaker_permit is None:  # the circuit has opened meanwhile
            self._release(lane)
            return Rejection("capacity", self.retry_after_s())
        return Permit(breaker_permit, cost, lane, now_s, now_s - requested_s, self._concurrency.limit)

    def release(self, permit: Permit, result: ProviderAnswer | ProviderError | None, timeout_s: float) -> None:
        """Return a permit and record the result of its call.

        Args:
            permit: from ``acquire``.
            result: of the call; None if it was cancelled.
            timeout_s: timeout of the target.

        """
        now_s = self._clock()
        failed = result.error_type if isinstance(result, ProviderError) and result.error_type in self._faults else None
        counted = _counts_for_breaker(result, now_s - permit.started_s, timeout_s)
        self._breaker.release(permit.breaker_permit, now_s, failed=failed if counted else None, counted=counted)
        if result is not None:
            self._observe(permit, result, now_s, counted=counted)
        self._release(permit.lane)

    def _try_acquire(self, cost: RequestCost, lane: Lane) -> float:
        """Implement ``streams.call.traffic.wait_queue.TryAcquire``."""
        limit = self._concurrency.limit
        if self._in_flight >= limit or not self._bulkhead.has_capacity(lane):
            return math.inf
        if lane == "batch" and self._batch_in_flight >= share_of(limit, self._batch_share):
            return math.inf
        if (wait_s := self._wait_s(cost)) > 0:
            return wait_s
        self._bulkhead.try_acquire(lane)
        self._in_flight += 1
        self._batch_in_flight += lane == "batch"
        self._configured_limit.consume(cost)
        self._observed_limit.consume(cost, self._configured_limit.share)
        return 0.0

    def _wait_s(self, cost: RequestCost, *, is_total: bool = False) -> float:
        now_s = self._clock()
        configured_s = self._configured_limit.wait_s(cost, now_s, is_total=is_total)
        return max(configured_s, self._observed_limit.wait_s(cost, now_s, self._configured_limit.share))

    def _estimate_wait(self, cost: RequestCost) -> float:
        return self._wait_s(cost, is_total=True)

    def _release(self, lane: Lane) -> None:
        self._in_flight -= 1
        self._batch_in_flight -= lane == "batch"
        self._bulkhead.release(lane)

    def _observe(self, permit: Permit, result: ProviderAnswer | ProviderError, now_s: float, *, counted: bool) -> None:
        """Correct the estimated token cost, and learn the provider's limits and latency from the result."""
        used_tokens = result.usage.input_tokens + result.usage.output_tokens
        self._configured_limit.consume(RequestCost(0.0, used_tokens - permit.cost.tokens))
        if result.rates is not None:
            self._observed_limit.observe(result.rates, now_s)
        if isinstance(result, ProviderAnswer):
            self._concurrency.on_success(self._in_flight)
            self._latency.on_success(now_s - permit.started_s, now_s)
        elif counted and result.error_type in TARGET_FAULTS | OVERLOAD_ERRORS:
            self._latency.on_failure(now_s - permit.started_s, now_s)
            if result.error_type in OVERLOAD_ERRORS:
                self._concurrency.on_overload(self._in_flight, permit.started_s, now_s)


def _counts_for_breaker(result: ProviderAnswer | ProviderError | None, duration_s: float, timeout_s: float) -> bool:
    """Return whether a result says something about the provider, rather than about the gateway or the caller."""
    if result is None:
        return False
    if isinstance(result, ProviderAnswer) or result.http_status is not None:
        return True
    if result.error_type == "timeout":
        return duration_s >= min(timeout_s, SHORT_DEADLINE_S) * 0.9
    return result.error_type in FAULTS_WITHOUT_RESPONSE
