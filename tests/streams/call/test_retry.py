from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.provider import FALLBACK, RETRYABLE
from schemas.events.parts import Plan, Target
from schemas.events.vocabulary import ErrorType
from streams.call.retry import MAX_BACKOFF_S, MAX_RETRY_AFTER_S, AttemptFailure, CallTarget, Fail, RetryAfter, next_step
from streams.pipeline.failures import EXPIRED

ERRORS: tuple[ErrorType, ...] = get_args(ErrorType)


def make_plan(targets: int = 2, max_attempts: int = 3) -> Plan:
    target = Target(provider="p", model="m", timeout_ms=1000)
    return Plan(alias="a", targets=(target,) * targets, max_attempts=max_attempts)


def decide(*failures: AttemptFailure, plan: Plan | None = None, now: float = 0.0, deadline: float = 1000.0) -> object:
    return next_step(plan or make_plan(), failures, now, deadline, draw=0.5)


def test_next_step_starts_with_the_first_target() -> None:
    assert decide() == CallTarget(0)


def test_next_step_at_the_deadline_is_expired() -> None:
    decision = decide(now=5.0, deadline=5.0)

    assert decision == Fail(EXPIRED)
    assert isinstance(decision, Fail)
    assert decision.failure is EXPIRED


@pytest.mark.parametrize("error_type", sorted(RETRYABLE - {"capacity"}))
def test_retryable_error_is_retried_at_the_same_target_after_a_backoff(error_type: ErrorType) -> None:
    assert decide(AttemptFailure(0, error_type)) == RetryAfter(0.375, 0)


@pytest.mark.parametrize("error_type", sorted(FALLBACK - RETRYABLE))
def test_permanent_error_falls_back_to_the_next_target_at_once(error_type: ErrorType) -> None:
    assert decide(AttemptFailure(0, error_type)) == CallTarget(1)


@pytest.mark.parametrize("error_type", sorted(set(ERRORS) - FALLBACK))
def test_error_of_the_caller_fails_at_once(error_type: ErrorType) -> None:
    decision = decide(AttemptFailure(0, error_type))

    assert isinstance(decision, Fail)
    assert decision.failure is not EXPIRED


def test_overloaded_target_falls_back_to_the_next_target() -> None:
    assert decide(AttemptFailure(0, "capacity")) == CallTarget(1)


def test_overloaded_last_target_is_retried() -> None:
    assert isinstance(decide(AttemptFailure(0, "capacity"), plan=make_plan(1)), RetryAfter)


def test_target_is_left_after_max_attempts() -> None:
    assert decide(*[AttemptFailure(0, "server")] * 3) == CallTarget(1)


def test_failure_after_the_last_target_is_the_last_error() -> None:
    decision = decide(*[AttemptFailure(0, "server")] * 3, *[AttemptFailure(1, "rate_limited", "", 2.0)] * 3)

    assert isinstance(decision, Fail)
    assert (decision.failure.code, decision.failure.retry_after_ms) == ("rate_limit_exceeded", 2000)


def test_backoff_doubles_up_to_a_maximum() -> None:
    plan = make_plan(1, max_attempts=10)

    steps = [decide(*[AttemptFailure(0, "server")] * count, plan=plan) for count in range(1, 8)]

    delays = [decision.delay_s for decision in steps if isinstance(decision, RetryAfter)]
    assert delays == [0.375, 0.75, 1.5, 3.0, 6.0, 6.0, 6.0]


def test_retry_after_is_a_lower_bound_of_the_delay() -> None:
    decision = decide(AttemptFailure(0, "rate_limited", "", 20.0))

    assert isinstance(decision, RetryAfter)
    assert 20.0 <= decision.delay_s <= 22.0


@pytest.mark.parametrize(("hint", "deadline"), [(MAX_RETRY_AFTER_S + 1, 1000.0), (20.0, 10.0)])
def test_retry_after_beyond_the_maximum_or_the_deadline_falls_back(hint: float, deadline: float) -> None:
    assert decide(AttemptFailure(0, "rate_limited", "", hint), deadline=deadline) == CallTarget(1)


def test_deadline_that_passed_during_a_call_expires_the_request() -> None:
    assert decide(AttemptFailure(0, "timeout"), now=7.0, deadline=7.0) == Fail(EXPIRED)


def test_error_of_the_caller_after_the_deadline_is_still_reported() -> None:
    decision = decide(AttemptFailure(0, "invalid_request", "temperature is too high"), now=7.0, deadline=7.0)

    assert isinstance(decision, Fail)
    assert decision.failure.status == 400
    assert "temperature is too high" in decision.failure.message


@given(
    targets=st.integers(1, 4),
    max_attempts=st.integers(1, 5),
    errors=st.lists(
        st.tuples(st.sampled_from(ERRORS), st.none() | st.floats(0.001, 200), st.floats(0, 30), st.floats(0, 1)),
        min_size=40,
        max_size=40,
    ),
    deadline=st.floats(0, 300),
)
def test_every_plan_ends_in_time_within_max_attempts_and_never_goes_back(
    targets: int,
    max_attempts: int,
    errors: list[tuple[ErrorType, float | None, float, float]],
    deadline: float,
) -> None:
    plan = make_plan(targets, max_attempts)
    failures: list[AttemptFailure] = []
    now = 0.0

    for error_type, hint, duration, draw in errors:
        decision = next_step(plan, failures, now, deadline, draw)
        if isinstance(decision, Fail):
            break
        if isinstance(decision, RetryAfter):
            assert 0 < decision.delay_s <= max(MAX_BACKOFF_S, 1.1 * MAX_RETRY_AFTER_S)
            now += decision.delay_s
        assert now < deadline
        assert decision.target_index in range(targets)
        failures.append(AttemptFailure(decision.target_index, error_type, "", hint))
        now += duration
    else:
        pytest.fail("the plan did not end")

    indexes = [attempt.target_index for attempt in failures]
    assert indexes == sorted(indexes)
    assert all(indexes.count(index) <= max_attempts for index in indexes)


def test_skipped_target_falls_back_to_the_next_target() -> None:
    assert decide(AttemptFailure(0, "capacity", retry_after_s=5.0, skipped=True)) == CallTarget(1)


def test_failure_of_only_skipped_targets_has_the_earliest_retry_after() -> None:
    decision = decide(*(AttemptFailure(index, "capacity", retry_after_s=9.0 - index, skipped=True) for index in (0, 1)))

    assert isinstance(decision, Fail)
    failure = decision.failure
    assert (failure.status, failure.code, failure.retry_after_ms) == (503, "provider_unavailable", 8000)


def test_failure_after_a_skipped_last_target_is_that_of_the_called_one() -> None:
    decision = decide(AttemptFailure(0, "auth"), AttemptFailure(1, "capacity", retry_after_s=9.0, skipped=True))

    assert isinstance(decision, Fail)
    assert decision.failure.code == "auth"


def test_failure_of_only_rate_limited_targets_is_a_429() -> None:
    decision = decide(*(AttemptFailure(index, "rate_limited", retry_after_s=7.0, skipped=True) for index in (0, 1)))

    assert isinstance(decision, Fail)
    failure = decision.failure
    assert (failure.status, failure.code, failure.retry_after_ms) == (429, "rate_limit_exceeded", 7000)


@pytest.mark.parametrize("error_type", ["auth", "quota_exhausted", "rate_limited"])
def test_refused_key_is_retried_with_another_key_up_to_max_attempts(error_type: ErrorType) -> None:
    refused = AttemptFailure(0, error_type, retry_after_s=30.0, retry_with_other_key=True)

    assert decide(refused) == CallTarget(0)
    assert decide(refused, refused, refused) == CallTarget(1)
