"""What to do next with a request: call, wait and call again, go on to the next target, or give up. Pure.

The one place that retries anything: providers and their HTTP client never do.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectors.providers.provider import FALLBACK, RETRYABLE
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import Failure, Plan
from schemas.events.vocabulary import ErrorType
from streams.pipeline.failures import EXPIRED, to_failure, unavailable

INITIAL_BACKOFF_S = 0.5
MAX_BACKOFF_S = 8.0
"""As OpenAI's and Anthropic's own clients wait."""
MAX_RETRY_AFTER_S = 60.0
"""A server that wants to be left alone for longer is left alone."""


@frozen_slots
class AttemptFailure:
    """An attempt that failed, or that was not made."""

    target: int
    """Its place in the plan, from 0."""
    error_type: ErrorType
    message: str = ""
    retry_after_s: float | None = None
    param: str | None = None
    """The caller's parameter that is at fault."""
    retry_with_other_key: bool = False
    """Its key was refused, and another one may serve."""
    skipped: bool = False
    """It was not called at all: it is left alone, or its rate limit has no room before the deadline."""


@frozen_slots
class CallTarget:
    """Call this target of the plan."""

    target: int


@frozen_slots
class RetryAfter:
    """Wait so many seconds, then call this target."""

    delay_s: float
    target: int


@frozen_slots
class Fail:
    """Settle the request as failed, or as expired if its deadline has passed."""

    failure: Failure

    @property
    def expired(self) -> bool:
        """Whether time ran out before the targets did."""
        return self.failure is EXPIRED


def next_step(
    plan: Plan, tried: Sequence[AttemptFailure], now_s: float, deadline_s: float, draw: float
) -> CallTarget | RetryAfter | Fail:
    """Decide from the attempts so far.

    Args:
        plan: the targets in order.
        tried: every attempt so far, in order; all of them failed. Targets that were passed over are among them.
        now_s: seconds since the epoch.
        deadline_s: the same; no call starts at or after it.
        draw: evenly drawn from 0 to 1, the jitter.

    """
    if not tried:
        return CallTarget(0) if now_s < deadline_s else Fail(EXPIRED)
    last = tried[-1]
    another = last.target + 1 < len(plan.targets) and last.error_type in FALLBACK
    attempts = sum(1 for attempt in tried if attempt.target == last.target)
    again = (
        (last.error_type in RETRYABLE or last.retry_with_other_key)
        and attempts < plan.max_attempts
        and not last.skipped
    )
    if not again and not another:
        return Fail(_failure(tried))
    if now_s >= deadline_s:
        return Fail(EXPIRED)
    if again and last.retry_with_other_key:
        return CallTarget(last.target)
    # who is overloaded is helped by going elsewhere
    if again and not (another and last.error_type == "capacity"):
        delay_s = _delay_s(last, attempts, draw)
        if delay_s is not None and now_s + delay_s < deadline_s:
            return RetryAfter(delay_s, last.target)
    if another:
        return CallTarget(last.target + 1)
    return Fail(_failure(tried))


def _failure(tried: Sequence[AttemptFailure]) -> Failure:
    """Tell of the last call that was made; if none was, why not, and when trying again makes sense."""
    called = [attempt for attempt in tried if not attempt.skipped]
    if not called:
        retry_after_s = min(attempt.retry_after_s or 0.0 for attempt in tried)
        limited = all(attempt.error_type == "rate_limited" for attempt in tried)
        return to_failure("rate_limited", "", retry_after_s) if limited else unavailable(retry_after_s)
    last = called[-1]
    return to_failure(last.error_type, last.message, last.retry_after_s, last.param)


def _delay_s(last: AttemptFailure, attempts: int, draw: float) -> float | None:
    """Say how long to wait before the same target is called again; None if longer than we care to."""
    if last.retry_after_s is None:
        longest = min(INITIAL_BACKOFF_S * 2.0 ** (attempts - 1), MAX_BACKOFF_S)
        return longest * (0.5 + 0.5 * draw)
    if last.retry_after_s > MAX_RETRY_AFTER_S:
        return None
    # all who were told the same time shall not come in the same moment
    return last.retry_after_s * (1 + 0.1 * draw)
