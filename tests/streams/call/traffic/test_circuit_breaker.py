from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.resilience import BreakerSettings
from schemas.events.vocabulary import ErrorType
from streams.call.traffic.circuit_breaker import BreakerPermit, CircuitBreaker, StateChange

SETTINGS = BreakerSettings(min_calls=4, window_s=10, cooldown_s=5, max_cooldown_s=15, probes=2)


class BreakerUnderTest:
    """Breaker that records its state changes."""

    def __init__(self, settings: BreakerSettings = SETTINGS) -> None:
        self.changes: list[StateChange] = []
        self.breaker = CircuitBreaker(settings, self.changes.append)

    def acquire(self, now_s: float) -> BreakerPermit:
        permit = self.breaker.acquire(now_s)
        assert permit is not None
        return permit

    def call(self, now_s: float, *, failed: ErrorType | None = None, counted: bool = True) -> None:
        self.breaker.release(self.acquire(now_s), now_s, failed=failed, counted=counted)

    def opened(self, now_s: float = 0.0) -> BreakerUnderTest:
        for _ in range(4):
            self.call(now_s, failed="server")
        assert self.breaker.state == "open"
        return self


def test_circuit_opens_at_the_failure_ratio_and_reports_the_reason() -> None:
    tested = BreakerUnderTest()

    tested.call(0.0)
    tested.call(1.0)
    tested.call(2.0, failed="timeout")
    assert tested.breaker.state == "closed"
    tested.call(3.0, failed="server")

    assert tested.changes == [StateChange("open", "server", 0.5, 5.0)]
    assert tested.breaker.acquire(7.9) is None
    assert tested.breaker.wait_s(7.5) == 0.5


def test_circuit_stays_closed_below_min_calls() -> None:
    tested = BreakerUnderTest()

    for _ in range(3):
        tested.call(0.0, failed="server")

    assert tested.breaker.state == "closed"


def test_failures_older_than_the_window_are_forgotten() -> None:
    tested = BreakerUnderTest()
    for _ in range(3):
        tested.call(0.0, failed="server")

    for _ in range(4):
        tested.call(10.0)
    tested.call(10.0, failed="server")

    assert tested.breaker.state == "closed"


def test_uncounted_call_does_not_count_towards_min_calls() -> None:
    tested = BreakerUnderTest()
    for _ in range(3):
        tested.call(0.0, failed="server")

    tested.call(0.0, counted=False)

    assert tested.breaker.state == "closed"


def test_half_open_circuit_grants_as_many_permits_as_probes() -> None:
    tested = BreakerUnderTest().opened()

    probes = [tested.breaker.acquire(5.0) for _ in range(3)]

    assert [probe is not None for probe in probes] == [True, True, False]
    assert tested.changes[-1] == StateChange("half_open", "probing", 0.0, 0.0)
    assert tested.breaker.wait_s(5.0) > 0


def test_circuit_closes_after_all_probes_succeeded_with_an_empty_window() -> None:
    tested = BreakerUnderTest().opened()

    tested.call(5.0)
    tested.call(5.0)

    assert tested.changes[-1] == StateChange("closed", "recovered", 0.0, 0.0)
    for _ in range(3):
        tested.call(5.0, failed="server")
    assert tested.breaker.state == "closed"


def test_failed_probe_doubles_the_cool_down_up_to_the_maximum() -> None:
    tested = BreakerUnderTest().opened()

    now_s, cooldowns = 0.0, []
    for _ in range(4):
        now_s += tested.changes[-1].cooldown_s
        tested.call(now_s, failed="network")
        cooldowns.append(tested.changes[-1].cooldown_s)

    assert cooldowns == [10.0, 15.0, 15.0, 15.0]
    assert tested.changes[-1].reason == "network"


def test_recovery_resets_the_cool_down() -> None:
    tested = BreakerUnderTest().opened()
    tested.call(5.0, failed="server")
    tested.call(15.0)
    tested.call(15.0)

    tested.opened(16.0)

    assert tested.changes[-1].cooldown_s == 5.0


def test_cancelled_probe_frees_its_permit() -> None:
    tested = BreakerUnderTest().opened()
    probes = [tested.acquire(5.0) for _ in range(2)]

    tested.breaker.release(probes[0], 6.0, counted=False)

    assert tested.breaker.acquire(6.0) is not None
    assert tested.breaker.acquire(6.0) is None


def test_call_from_an_earlier_state_is_ignored() -> None:
    tested = BreakerUnderTest()
    early = [tested.acquire(0.0) for _ in range(2)]
    tested.opened()

    tested.breaker.release(early[0], 1.0)
    tested.acquire(5.0)
    tested.breaker.release(early[1], 5.0, failed="server")

    assert tested.breaker.state == "half_open"


STEP = st.tuples(st.floats(0, 4), st.sampled_from(["ok", "fail", "cancel", "hang", "end"]))


@given(st.lists(STEP, max_size=200))
def test_circuit_recovers_after_any_sequence_of_calls(steps: list[tuple[float, str]]) -> None:
    tested, now_s, hanging = BreakerUnderTest(), 0.0, list[BreakerPermit]()
    for elapsed_s, action in steps:
        now_s += elapsed_s
        permit = hanging.pop() if action == "end" and hanging else tested.breaker.acquire(now_s)
        if permit is not None and action == "hang":
            hanging.append(permit)
        elif permit is not None:
            tested.breaker.release(
                permit, now_s, failed="server" if action == "fail" else None, counted=action != "cancel"
            )
    for permit in hanging:
        tested.breaker.release(permit, now_s, counted=False)

    for _ in range(2):
        now_s += SETTINGS.max_cooldown_s
        tested.call(now_s)
    tested.call(now_s)

    assert tested.breaker.state == "closed"
    states = ["closed"] + [change.state for change in tested.changes]
    allowed = {("closed", "open"), ("open", "half_open"), ("half_open", "open"), ("half_open", "closed")}
    assert set(itertools.pairwise(states)) <= allowed


@pytest.mark.parametrize("ratio", [0.25, 0.5, 1.0])
def test_circuit_opens_exactly_at_the_failure_ratio(ratio: float) -> None:
    tested = BreakerUnderTest(BreakerSettings(min_calls=100, failure_ratio=ratio))

    for number in range(100):
        assert tested.breaker.state == "closed"
        tested.call(0.0, failed=None if number < 100 * (1 - ratio) else "server")

    assert tested.changes[-1].failure_ratio == ratio
