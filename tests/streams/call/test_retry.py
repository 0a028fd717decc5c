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


def a_plan(targets: int = 2, max_attempts: int = 3) -> Plan:
    target = Target(provider="p", model="m", timeout_ms=1000)
    return Plan(alias="a", targets=(target,) * targets, max_attempts=max_attempts)


def step(*tried: AttemptFailure, plan: Plan | None = None, now: float = 0.0, deadline: float = 1000.0) -> object:
    return next_step(plan or a_plan(), tried, now, deadline, draw=0.5)


def test_the_first_target_is_called_first() -> None:
    assert step() == CallTarget(0)


def test_without_time_nothing_is_called() -> None:
    given_up = step(now=5.0, deadline=5.0)

    assert given_up == Fail(EXPIRED)
    assert isinstance(given_up, Fail)
    assert given_up.failure is EXPIRED


@pytest.mark.parametrize("error_type", sorted(RETRYABLE - {"capacity"}))
def test_what_may_pass_is_tried_again_at_the_same_target_after_a_while(error_type: ErrorType) -> None:
    assert step(AttemptFailure(0, error_type)) == RetryAfter(0.375, 0)


@pytest.mark.parametrize("error_type", sorted(FALLBACK - RETRYABLE))
def test_what_will_not_pass_goes_to_the_next_target_at_once(error_type: ErrorType) -> None:
    assert step(AttemptFailure(0, error_type)) == CallTarget(1)


@pytest.mark.parametrize("error_type", sorted(set(ERRORS) - FALLBACK))
def test_what_the_caller_did_wrong_is_tried_nowhere_else(error_type: ErrorType) -> None:
    given_up = step(AttemptFailure(0, error_type))

    assert isinstance(given_up, Fail)
    assert given_up.failure is not EXPIRED


def test_who_is_overloaded_is_left_for_the_next_target() -> None:
    assert step(AttemptFailure(0, "capacity")) == CallTarget(1)


def test_who_is_overloaded_and_the_last_is_waited_for() -> None:
    assert isinstance(step(AttemptFailure(0, "capacity"), plan=a_plan(1)), RetryAfter)


def test_after_its_attempts_a_target_is_left() -> None:
    assert step(*[AttemptFailure(0, "server")] * 3) == CallTarget(1)


def test_after_the_last_target_the_last_error_is_the_callers() -> None:
    given_up = step(*[AttemptFailure(0, "server")] * 3, *[AttemptFailure(1, "rate_limited", "", 2.0)] * 3)

    assert isinstance(given_up, Fail)
    assert (given_up.failure.code, given_up.failure.retry_after_ms) == ("rate_limit_exceeded", 2000)


def test_delays_grow_up_to_a_limit() -> None:
    plan = a_plan(1, max_attempts=10)

    steps = [step(*[AttemptFailure(0, "server")] * count, plan=plan) for count in range(1, 8)]

    delays = [waiting.delay_s for waiting in steps if isinstance(waiting, RetryAfter)]
    assert delays == [0.375, 0.75, 1.5, 3.0, 6.0, 6.0, 6.0]


def test_a_servers_hint_is_kept_to_and_never_undercut() -> None:
    waiting = step(AttemptFailure(0, "rate_limited", "", 20.0))

    assert isinstance(waiting, RetryAfter)
    assert 20.0 <= waiting.delay_s <= 22.0


@pytest.mark.parametrize(("hint", "deadline"), [(MAX_RETRY_AFTER_S + 1, 1000.0), (20.0, 10.0)])
def test_a_hint_beyond_what_we_wait_or_the_deadline_is_time_for_the_next_target(hint: float, deadline: float) -> None:
    assert step(AttemptFailure(0, "rate_limited", "", hint), deadline=deadline) == CallTarget(1)


def test_a_deadline_that_passed_during_the_calls_expires_the_request() -> None:
    assert step(AttemptFailure(0, "timeout"), now=7.0, deadline=7.0) == Fail(EXPIRED)


def test_a_refusal_that_arrived_late_is_still_told() -> None:
    given_up = step(AttemptFailure(0, "invalid_request", "temperature is too high"), now=7.0, deadline=7.0)

    assert isinstance(given_up, Fail)
    assert given_up.failure.status == 400
    assert "temperature is too high" in given_up.failure.message


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
def test_every_walk_ends_in_time_within_its_attempts_and_never_goes_back(
    targets: int,
    max_attempts: int,
    errors: list[tuple[ErrorType, float | None, float, float]],
    deadline: float,
) -> None:
    plan = a_plan(targets, max_attempts)
    tried: list[AttemptFailure] = []
    now = 0.0

    for error_type, hint, duration, draw in errors:
        taken = next_step(plan, tried, now, deadline, draw)
        if isinstance(taken, Fail):
            break
        if isinstance(taken, RetryAfter):
            assert 0 < taken.delay_s <= max(MAX_BACKOFF_S, 1.1 * MAX_RETRY_AFTER_S)
            now += taken.delay_s
        assert now < deadline
        assert taken.target_index in range(targets)
        tried.append(AttemptFailure(taken.target_index, error_type, "", hint))
        now += duration
    else:
        pytest.fail("the walk did not end")

    places = [attempt.target_index for attempt in tried]
    assert places == sorted(places)
    assert all(places.count(place) <= max_attempts for place in places)


def test_a_target_that_is_closed_is_passed_over() -> None:
    assert step(AttemptFailure(0, "capacity", retry_after_s=5.0, skipped=True)) == CallTarget(1)


def test_when_all_are_closed_and_none_was_called_the_caller_is_told_when_the_first_may_be_open_again() -> None:
    given_up = step(*(AttemptFailure(place, "capacity", retry_after_s=9.0 - place, skipped=True) for place in (0, 1)))

    assert isinstance(given_up, Fail)
    failure = given_up.failure
    assert (failure.status, failure.code, failure.retry_after_ms) == (503, "provider_unavailable", 8000)


def test_when_the_last_is_closed_the_error_of_the_one_that_was_called_is_told() -> None:
    given_up = step(AttemptFailure(0, "auth"), AttemptFailure(1, "capacity", retry_after_s=9.0, skipped=True))

    assert isinstance(given_up, Fail)
    assert given_up.failure.code == "auth"


def test_when_no_rate_limit_had_room_in_time_the_caller_is_told_so() -> None:
    given_up = step(*(AttemptFailure(place, "rate_limited", retry_after_s=7.0, skipped=True) for place in (0, 1)))

    assert isinstance(given_up, Fail)
    failure = given_up.failure
    assert (failure.status, failure.code, failure.retry_after_ms) == (429, "rate_limit_exceeded", 7000)


@pytest.mark.parametrize("error_type", ["auth", "quota_exhausted", "rate_limited"])
def test_a_refused_key_is_followed_by_another_at_once_as_often_as_a_target_may_be_tried(error_type: ErrorType) -> None:
    refused = AttemptFailure(0, error_type, retry_after_s=30.0, retry_with_other_key=True)

    assert step(refused) == CallTarget(0)
    assert step(refused, refused, refused) == CallTarget(1)
