from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.resilience import BreakerSettings
from schemas.events.vocabulary import ErrorType
from streams.call.traffic.circuit_breaker import BreakerPermit, CircuitBreaker, StateChange

SETTINGS = BreakerSettings(min_calls=4, window_s=10, cooldown_s=5, max_cooldown_s=15, probes=2)


class Watched:
    """A breaker, and what it told."""

    def __init__(self, settings: BreakerSettings = SETTINGS) -> None:
        self.changes: list[StateChange] = []
        self.breaker = CircuitBreaker(settings, self.changes.append)

    def enter(self, now_s: float) -> BreakerPermit:
        entry = self.breaker.acquire(now_s)
        assert entry is not None
        return entry

    def call(self, now_s: float, *, failed: ErrorType | None = None, counted: bool = True) -> None:
        self.breaker.release(self.enter(now_s), now_s, failed=failed, counted=counted)

    def opened(self, now_s: float = 0.0) -> Watched:
        for _ in range(4):
            self.call(now_s, failed="server")
        assert self.breaker.state == "open"
        return self


def test_too_many_failures_of_enough_calls_open_it_and_it_says_why() -> None:
    watched = Watched()

    watched.call(0.0)
    watched.call(1.0)
    watched.call(2.0, failed="timeout")
    assert watched.breaker.state == "closed"
    watched.call(3.0, failed="server")

    assert watched.changes == [StateChange("open", "server", 0.5, 5.0)]
    assert watched.breaker.acquire(7.9) is None
    assert watched.breaker.wait_s(7.5) == 0.5


def test_few_calls_say_nothing() -> None:
    watched = Watched()

    for _ in range(3):
        watched.call(0.0, failed="server")

    assert watched.breaker.state == "closed"


def test_failures_that_are_long_ago_are_forgotten() -> None:
    watched = Watched()
    for _ in range(3):
        watched.call(0.0, failed="server")

    for _ in range(4):
        watched.call(10.0)
    watched.call(10.0, failed="server")

    assert watched.breaker.state == "closed"


def test_what_says_nothing_about_the_provider_is_not_counted() -> None:
    watched = Watched()
    for _ in range(3):
        watched.call(0.0, failed="server")

    watched.call(0.0, counted=False)

    assert watched.breaker.state == "closed"


def test_after_the_cool_down_only_as_many_probes_go_through_as_are_wanted() -> None:
    watched = Watched().opened()

    probes = [watched.breaker.acquire(5.0) for _ in range(3)]

    assert [probe is not None for probe in probes] == [True, True, False]
    assert watched.changes[-1] == StateChange("half_open", "probing", 0.0, 0.0)
    assert watched.breaker.wait_s(5.0) > 0


def test_it_closes_when_all_probes_have_succeeded_and_begins_to_count_anew() -> None:
    watched = Watched().opened()

    watched.call(5.0)
    watched.call(5.0)

    assert watched.changes[-1] == StateChange("closed", "recovered", 0.0, 0.0)
    for _ in range(3):
        watched.call(5.0, failed="server")
    assert watched.breaker.state == "closed"


def test_a_probe_that_fails_opens_it_for_longer_up_to_a_limit() -> None:
    watched = Watched().opened()

    now_s, cooldowns = 0.0, []
    for _ in range(4):
        now_s += watched.changes[-1].cooldown_s
        watched.call(now_s, failed="network")
        cooldowns.append(watched.changes[-1].cooldown_s)

    assert cooldowns == [10.0, 15.0, 15.0, 15.0]
    assert watched.changes[-1].reason == "network"


def test_after_a_recovery_the_cool_down_is_short_again() -> None:
    watched = Watched().opened()
    watched.call(5.0, failed="server")
    watched.call(15.0)
    watched.call(15.0)

    watched.opened(16.0)

    assert watched.changes[-1].cooldown_s == 5.0


def test_a_probe_that_was_cancelled_makes_place_for_another() -> None:
    watched = Watched().opened()
    probes = [watched.enter(5.0) for _ in range(2)]

    watched.breaker.release(probes[0], 6.0, counted=False)

    assert watched.breaker.acquire(6.0) is not None
    assert watched.breaker.acquire(6.0) is None


def test_a_call_from_before_it_opened_decides_nothing_any_more() -> None:
    watched = Watched()
    late = [watched.enter(0.0) for _ in range(2)]
    watched.opened()

    watched.breaker.release(late[0], 1.0)
    watched.enter(5.0)
    watched.breaker.release(late[1], 5.0, failed="server")

    assert watched.breaker.state == "half_open"


STEP = st.tuples(st.floats(0, 4), st.sampled_from(["ok", "fail", "cancel", "hang", "end"]))


@given(st.lists(STEP, max_size=200))
def test_whatever_happens_it_never_locks_itself_up(steps: list[tuple[float, str]]) -> None:
    watched, now_s, hanging = Watched(), 0.0, list[BreakerPermit]()
    for passed_s, what in steps:
        now_s += passed_s
        entry = hanging.pop() if what == "end" and hanging else watched.breaker.acquire(now_s)
        if entry is not None and what == "hang":
            hanging.append(entry)
        elif entry is not None:
            watched.breaker.release(entry, now_s, failed="server" if what == "fail" else None, counted=what != "cancel")
    for entry in hanging:
        watched.breaker.release(entry, now_s, counted=False)

    for _ in range(2):
        now_s += SETTINGS.max_cooldown_s
        watched.call(now_s)
    watched.call(now_s)

    assert watched.breaker.state == "closed"
    told = ["closed"] + [change.state for change in watched.changes]
    allowed = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
    assert set(itertools.pairwise(told)) <= allowed


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0])
def test_the_ratio_is_where_it_opens(ratio: float) -> None:
    watched = Watched(BreakerSettings(min_calls=100, failure_ratio=ratio))

    for number in range(100):
        assert watched.breaker.state == "closed"
        watched.call(0.0, failed=None if number < 100 * (1 - ratio) else "server")

    assert watched.changes[-1].failure_ratio == ratio
