"""What to do next with a request: call, wait and call again, go on to the next target, or give up. Pure.

The one place that retries anything: providers and their HTTP client never do.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.providers.provider import FALLBACK, RETRYABLE
from schemas.codegen.frozen_dataclass import fixed
from schemas.events.parts import Failure, Plan
from schemas.events.vocabulary import ErrorType
from streams.pipeline.failures import EXPIRED, failure_of, unavailable

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 8.0
"""As OpenAI's and Anthropic's own clients wait."""
LONGEST_HINT_S = 60.0
"""A server that wants to be left alone for longer is left alone."""


@fixed
class Tried:
    """An attempt that failed, or that was not made."""

    target: int
    """Its place in the plan, from 0."""
    error_type: ErrorType
    message: str = ""
    retry_after_s: float | None = None
    param: str | None = None
    """The caller's parameter that is at fault."""
    another_key: bool = False
    """Its key was refused, and another one may serve."""
    passed_over: bool = False
    """It was not called at all: it is left alone, or its rate limit has no room before the deadline."""


@fixed
class CallNow:
    """Call this target of the plan."""

    target: int


@fixed
class WaitThen:
    """Wait so many seconds, then call this target."""

    delay_s: float
    target: int


@fixed
class GiveUp:
    """Settle the request as failed, or as expired if its deadline has passed."""

    failure: Failure

    @property
    def expired(self) -> bool:
        """Whether time ran out before the targets did."""
        return self.failure is EXPIRED


def next_step(
    plan: Plan, tried: Sequence[Tried], now_s: float, deadline_s: float, draw: float
) -> CallNow | WaitThen | GiveUp:
    """Decide from the attempts so far.

    Args:
        plan: the targets in order.
        tried: every attempt so far, in order; all of them failed. Targets that were passed over are among them.
        now_s: seconds since the epoch.
        deadline_s: the same; no call starts at or after it.
        draw: evenly drawn from 0 to 1, the jitter.

    """
    if not tried:
        return CallNow(0) if now_s < deadline_s else GiveUp(EXPIRED)
    last = tried[-1]
    another = last.target + 1 < len(plan.targets) and last.error_type in FALLBACK
    attempts = sum(1 for attempt in tried if attempt.target == last.target)
    again = (last.error_type in RETRYABLE or last.another_key) and attempts < plan.max_attempts and not last.passed_over
    if not again and not another:
        return GiveUp(_failure(tried))
    if now_s >= deadline_s:
        return GiveUp(EXPIRED)
    if again and last.another_key:
        return CallNow(last.target)
    # who is overloaded is helped by going elsewhere
    if again and not (another and last.error_type == "capacity"):
        delay_s = _delay_s(last, attempts, draw)
        if delay_s is not None and now_s + delay_s < deadline_s:
            return WaitThen(delay_s, last.target)
    if another:
        return CallNow(last.target + 1)
    return GiveUp(_failure(tried))


def _failure(tried: Sequence[Tried]) -> Failure:
    """Tell of the last call that was made; if none was, why not, and when trying again makes sense."""
    called = [attempt for attempt in tried if not attempt.passed_over]
    if not called:
        retry_after_s = min(attempt.retry_after_s or 0.0 for attempt in tried)
        limited = all(attempt.error_type == "rate_limited" for attempt in tried)
        return failure_of("rate_limited", "", retry_after_s) if limited else unavailable(retry_after_s)
    last = called[-1]
    return failure_of(last.error_type, last.message, last.retry_after_s, last.param)


def _delay_s(last: Tried, attempts: int, draw: float) -> float | None:
    """Say how long to wait before the same target is called again; None if longer than we care to."""
    if last.retry_after_s is None:
        longest = min(FIRST_DELAY_S * 2.0 ** (attempts - 1), LONGEST_DELAY_S)
        return longest * (0.5 + 0.5 * draw)
    if last.retry_after_s > LONGEST_HINT_S:
        return None
    # all who were told the same time shall not come in the same moment
    return last.retry_after_s * (1 + 0.1 * draw)
