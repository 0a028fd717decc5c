"""Ask no provider for more than it allows per minute: token buckets. Pure: the caller brings the time.

A limit comes from the configuration or from what the provider says with every answer; both hold at once. All workers
share it: each keeps to its part, which follows from the partitions that it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from connectors.providers.resilience import Budget, RateLimit, RateState

MINUTE_S = 60.0
BURST_S = 6.0
"""How much a configured limit lets through at once: so many seconds' worth. Azure looks at windows of 1 or 10 s."""

CHARS_PER_TOKEN = 4


class RequestCost(NamedTuple):
    """What one call takes of the limits."""

    requests: float = 1.0
    tokens: float = 0.0


def estimate_cost(body_chars: int, body: Mapping[str, Any]) -> RequestCost:
    """Guess what a call takes before it is made, as Azure does: the text, and the most that may be answered."""
    answer = body.get("max_completion_tokens") or body.get("max_tokens")
    return RequestCost(1.0, body_chars / CHARS_PER_TOKEN + (answer if isinstance(answer, int) else 0))


class TokenBucket:
    """So much per second, and so much at once. A cost beyond what it holds when full is let through when it is full.

    Args:
        rate: per second.
        capacity: what it holds at most; it begins full.
        now_s: of any clock that never goes back.

    """

    def __init__(self, rate: float, capacity: float, now_s: float) -> None:
        self._rate = rate
        self._capacity = capacity
        self._level = capacity
        self._at_s = now_s

    def wait_s(self, cost: float, now_s: float, share: float, *, in_all: bool = False) -> float:
        """How long until it holds as much, of which ``share`` is ours; 0 if it does.

        ``in_all``: the cost is that of many calls, and may be more than it ever holds.
        """
        self._level = min(self._capacity, self._level + max(0.0, now_s - self._at_s) * self._rate)
        self._at_s = now_s
        wanted = cost / share if in_all else min(cost / share, self._capacity)
        missing = wanted - self._level
        return missing / self._rate if missing > 1e-9 else 0.0  # noqa: PLR2004 - what rounding leaves

    def consume(self, cost: float, share: float) -> None:
        """Take as much out, or put it back if it is negative."""
        self._level = min(self._capacity, self._level - cost / share)


class ConfiguredRateLimit:
    """The configured limits of one provider, for all its targets."""

    def __init__(self, limit: RateLimit | None, now_s: float = 0.0) -> None:
        self.share = 1.0
        """Our part of the limits, above 0 and up to 1. What is taken out counts for all who have none of the rest."""
        self._requests = self._tokens = None
        if limit is not None:
            self._requests = _per_minute(limit.requests_per_minute, now_s)
            self._tokens = _per_minute(limit.tokens_per_minute, now_s)

    def wait_s(self, cost: RequestCost, now_s: float, *, in_all: bool = False) -> float:
        """How long a call must wait; 0 if it need not. ``in_all``: as for a bucket."""
        wait_s = 0.0
        if self._requests is not None:
            wait_s = self._requests.wait_s(cost.requests, now_s, self.share, in_all=in_all)
        if self._tokens is not None:
            wait_s = max(wait_s, self._tokens.wait_s(cost.tokens, now_s, self.share, in_all=in_all))
        return wait_s

    def consume(self, cost: RequestCost) -> None:
        """Note a call that is made, or correct its cost afterwards."""
        if self._requests is not None:
            self._requests.consume(cost.requests, self.share)
        if self._tokens is not None:
            self._tokens.consume(cost.tokens, self.share)


class ObservedRateLimit:
    """What the provider itself has said last of one target's limits. It holds until they are renewed."""

    def __init__(self) -> None:
        self._requests: tuple[TokenBucket, float] | None = None
        """With the time until which it holds."""
        self._tokens: tuple[TokenBucket, float] | None = None

    def observe(self, state: RateState, now_s: float) -> None:
        """Take in what came with an answer or an error."""
        self._requests = _until_reset(state.requests, now_s)
        self._tokens = _until_reset(state.tokens, now_s)

    def wait_s(self, cost: RequestCost, now_s: float, share: float) -> float:
        """How long a call must wait; 0 if it need not."""
        wait_s = 0.0
        if self._requests is not None:
            wait_s = _wait_s(self._requests, cost.requests, now_s, share)
        if self._tokens is not None:
            wait_s = max(wait_s, _wait_s(self._tokens, 1.0, now_s, 1.0))  # how many it takes is for the provider to say
        return wait_s

    def consume(self, cost: RequestCost, share: float) -> None:
        """Note a call that is made; the provider's next answer tells what it has really cost."""
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
    """Remember what is left, and that it grows until all is there at the reset."""
    if budget is None or budget.remaining >= budget.limit:
        return None
    bucket = TokenBucket((budget.limit - budget.remaining) / budget.reset_s, budget.limit, now_s)
    bucket.consume(budget.limit - budget.remaining, 1.0)
    return bucket, now_s + budget.reset_s


def _wait_s(limit: tuple[TokenBucket, float], cost: float, now_s: float, share: float) -> float:
    bucket, until_s = limit
    return min(bucket.wait_s(cost, now_s, share), until_s - now_s) if now_s < until_s else 0.0
