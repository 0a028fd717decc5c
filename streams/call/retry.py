"""Retry policy: decides whether to call a target, back off, fall back to the next target, or fail. Pure.

This is the only place that retries; providers and their HTTP client never do.
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
"""The same as in OpenAI's and Anthropic's clients."""
MAX_RETRY_AFTER_S = 60.0
"""A target that asks for a longer delay is not retried."""


@frozen_slots
class AttemptFailure:
    """Attempt that failed, or target that was skipped."""

    target_index: int
    """Index of the target in the plan, from 0."""
    error_type: ErrorType
    message: str = ""
    retry_after_s: float | None = None
    param: str | None = None
    """Parameter of the caller's request that is at fault."""
    retry_with_other_key: bool = False
    """The provider refused the API key, and another one is configured."""
    skipped: bool = False
    """The target was not called: its circuit is open, it holds too many requests, or its rate limit has no permit
    before the deadline."""


@frozen_slots
class CallTarget:
    """Call this target of the plan."""

    target_index: int


@frozen_slots
class RetryAfter:
    """Wait, then call this target."""

    delay_s: float
    target_index: int


@frozen_slots
class Fail:
    """Settle the request as failed; as expired if the failure is ``EXPIRED``."""

    failure: Failure


def next_step(
    plan: Plan, failures: Sequence[AttemptFailure], now_s: float, deadline_s: float, draw: float
) -> CallTarget | RetryAfter | Fail:
    """Decide the next step from the failures so far.

    Args:
        plan: the targets in order.
        failures: the failed attempts and the skipped targets so far, in order.
        now_s: seconds since the epoch.
        deadline_s: seconds since the epoch; no call starts at or after it.
        draw: uniform random number from 0 to 1, the jitter.

    """
    if not failures:
        return CallTarget(0) if now_s < deadline_s else Fail(EXPIRED)
    last = failures[-1]
    can_fall_back = last.target_index + 1 < len(plan.targets) and last.error_type in FALLBACK
    attempts = sum(1 for failure in failures if failure.target_index == last.target_index)
    can_retry = (
        (last.error_type in RETRYABLE or last.retry_with_other_key)
        and attempts < plan.max_attempts
        and not last.skipped
    )
    if not can_retry and not can_fall_back:
        return Fail(_failure(failures))
    if now_s >= deadline_s:
        return Fail(EXPIRED)
    if can_retry and last.retry_with_other_key:
        return CallTarget(last.target_index)
    # an overloaded target recovers sooner if its requests go elsewhere
    if can_retry and not (can_fall_back and last.error_type == "capacity"):
        delay_s = _delay_s(last, attempts, draw)
        if delay_s is not None and now_s + delay_s < deadline_s:
            return RetryAfter(delay_s, last.target_index)
    if can_fall_back:
        return CallTarget(last.target_index + 1)
    return Fail(_failure(failures))


def _failure(failures: Sequence[AttemptFailure]) -> Failure:
    """Return the failure of the last call; if no target was called, the reason and the earliest time for a retry."""
    called = [failure for failure in failures if not failure.skipped]
    if not called:
        retry_after_s = min(failure.retry_after_s or 0.0 for failure in failures)
        is_rate_limited = all(failure.error_type == "rate_limited" for failure in failures)
        return to_failure("rate_limited", "", retry_after_s) if is_rate_limited else unavailable(retry_after_s)
    last = called[-1]
    return to_failure(last.error_type, last.message, last.retry_after_s, last.param)


def _delay_s(last: AttemptFailure, attempts: int, draw: float) -> float | None:
    """Return the delay before a retry of the same target; None if the provider asks for more than the maximum."""
    if last.retry_after_s is None:
        backoff_s = min(INITIAL_BACKOFF_S * 2.0 ** (attempts - 1), MAX_BACKOFF_S)
        return backoff_s * (0.5 + 0.5 * draw)
    if last.retry_after_s > MAX_RETRY_AFTER_S:
        return None
    # jitter: requests that got the same retry-after must not return at the same moment
    return last.retry_after_s * (1 + 0.1 * draw)
