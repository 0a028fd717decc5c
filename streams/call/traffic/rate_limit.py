"""Token-bucket rate limits of requests and tokens per minute. Pure: the caller passes the time.

A limit comes from the configuration or from the provider's response headers; both apply at once. All workers share it:
each uses the share that corresponds to its partitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.providers.resilience import Budget, RateLimit, RateState

MINUTE_S = 60.0
BURST_S = 6.0
"""Burst of a configured limit, in seconds' worth of its rate. Azure enforces its limits over windows of 1 or 10 s."""

CHARS_PER_TOKEN = 4


class RequestCost(NamedTuple):
    """Cost of a call in the units of the limits."""

    requests: float = 1.0
    tokens: float = 0.0


ONE_REQUEST = RequestCost()


def estimate_cost(body_chars: int, body: Mapping[str, Any]) -> RequestCost:
    """Estimate the cost of a call before it is made, as Azure does: the text plus the longest possible answer."""
    max_tokens = body.get("max_completion_tokens") or body.get("max_tokens")
    return RequestCost(1.0, body_chars / CHARS_PER_TOKEN + (max_tokens if isinstance(max_tokens, int) else 0))


class TokenBucket:
    """Token bucket. A cost above its capacity is admitted when the bucket is full.

    Args:
        rate: refill per second.
        capacity: maximum level, and the initial one.
        now_s: of any monotonic clock.

    """

    def __init__(self, rate: float, capacity: float, now_s: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._level = capacity
        self._refilled_s = now_s

    def wait_s(self, cost: float, now_s: float, share: float, *, is_total: bool = False) -> float:
        """Return the seconds until the cost can be consumed; 0 if it can be now.

        Args:
            cost: of one call.
            now_s: by the clock of the bucket.
            share: the worker's share of the bucket.
            is_total: the cost is the sum of many calls, and may exceed the capacity.

        """
        self._level = min(self._capacity, self._level + max(0.0, now_s - self._refilled_s) * self._rate)
        self._refilled_s = now_s
        required = cost / share if is_total else min(cost / share, self._capacity)
        missing = required - self._level
        return missing / self._rate if missing > 1e-9 else 0.0  # noqa: PLR2004 - a rounding error

    def consume(self, cost: float, share: float) -> None:
        """Take a cost out of the bucket; a negative cost is put back."""
        self._level = min(self._capacity, self._level - cost / share)


class ConfiguredRateLimit:
    """Rate limits from the configuration of one provider, shared by all its targets."""

    def __init__(self, limit: RateLimit | None, now_s: float = 0.0) -> None:
        self.share = 1.0
        """This worker's share of the limits, above 0 and up to 1. Costs are divided by it: the other workers are
        assumed to use their shares alike."""
        self._requests = self._tokens = None
        if limit is not None:
            self._requests = _per_minute(limit.requests_per_minute, now_s)
            self._tokens = _per_minute(limit.tokens_per_minute, now_s)

    def wait_s(self, cost: RequestCost, now_s: float, *, is_total: bool = False) -> float:
        """Return the seconds that a call must wait; ``is_total`` as in ``TokenBucket.wait_s``."""
        wait_s = 0.0
        if self._requests is not None:
            wait_s = self._requests.wait_s(cost.requests, now_s, self.share, is_total=is_total)
        if self._tokens is not None:
            wait_s = max(wait_s, self._tokens.wait_s(cost.tokens, now_s, self.share, is_total=is_total))
        return wait_s

    def consume(self, cost: RequestCost) -> None:
        """Charge a call that is made, or correct its cost afterwards."""
        if self._requests is not None:
            self._requests.consume(cost.requests, self.share)
        if self._tokens is not None:
            self._tokens.consume(cost.tokens, self.share)


class ObservedRateLimit:
    """Rate limits of one target from the provider's latest response headers, valid until their reset."""

    def __init__(self) -> None:
        self._requests: tuple[TokenBucket, float] | None = None
        """With the time of the reset."""
        self._tokens: tuple[TokenBucket, float] | None = None

    def observe(self, state: RateState, now_s: float) -> None:
        """Replace the limits by those of an answer or an error."""
        self._requests = _until_reset(state.requests, now_s)
        self._tokens = _until_reset(state.tokens, now_s)

    def wait_s(self, cost: RequestCost, now_s: float, share: float) -> float:
        """Return the seconds that a call must wait; 0 if it need not."""
        wait_s = 0.0
        if self._requests is not None:
            wait_s = _wait_s(self._requests, cost.requests, now_s, share)
        if self._tokens is not None:
            wait_s = max(wait_s, _wait_s(self._tokens, 1.0, now_s, 1.0))  # the provider alone knows the call's tokens
        return wait_s

    def consume(self, cost: RequestCost, share: float) -> None:
        """Charge a call that is made; the provider's next response corrects its cost."""
        if self._requests is not None:
            self._requests[0].consume(cost.requests, share)
        if self._tokens is not None:
            self._tokens[0].consume(cost.tokens, share)


def _per_minute(limit: int | None, now_s: float) -> TokenBucket | None:
    if limit is None:
        return None
    rate = limit / MINUTE_S
    return TokenBucket(rate, max(1.0, rate * BURST_S), now_s)


def _until_reset(budget: Budget | None, now_s: float) -> tuple[TokenBucket, float] | None:
    """Return a bucket with the remaining budget that refills to the limit at the reset."""
    if budget is None or budget.remaining >= budget.limit:
        return None
    bucket = TokenBucket((budget.limit - budget.remaining) / budget.reset_s, budget.limit, now_s)
    bucket.consume(budget.limit - budget.remaining, 1.0)
    return bucket, now_s + budget.reset_s


def _wait_s(limit: tuple[TokenBucket, float], cost: float, now_s: float, share: float) -> float:
    bucket, reset_s = limit
    return min(bucket.wait_s(cost, now_s, share), reset_s - now_s) if now_s < reset_s else 0.0
