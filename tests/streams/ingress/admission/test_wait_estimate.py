from __future__ import annotations

import pytest

from streams.ingress.admission.wait_estimate import NO_BACKLOG, BacklogSample, WaitEstimator


def watched(*looks: tuple[float, int, int]) -> WaitEstimator:
    """After looks at (seconds, waiting, finished)."""
    pressure = WaitEstimator()
    for at_s, waiting, finished in looks:
        pressure.observe(BacklogSample(at_s, waiting, finished, 0))
    return pressure


def test_what_waits_by_what_ends_in_a_second_is_the_wait() -> None:
    pressure = watched(*((float(second), 3000, 100 * second) for second in range(10)))

    assert pressure.wait_s == pytest.approx(30.0)


def test_of_a_burst_and_the_pace_of_half_a_minute_the_faster_counts() -> None:
    steady_then_quick = watched((0, 1000, 0), (10, 1000, 100), (19, 1000, 190), (20, 1000, 290))
    burst_long_ago = watched((0, 1000, 0), (1, 1000, 2000), *((float(at), 1000, 2000) for at in range(2, 20)))

    assert steady_then_quick.wait_s == pytest.approx(1000 / 100)
    assert burst_long_ago.wait_s < 30


def test_while_nothing_ends_the_wait_is_as_long_as_nothing_has_ended() -> None:
    pressure = watched(*((float(second), 5000, 7) for second in range(600)))

    assert pressure.wait_s == pytest.approx(599.0)


def test_an_idle_pipeline_is_not_stuck() -> None:
    pressure = watched((0, 0, 7), (500, 0, 7), (501, 5000, 7))

    assert pressure.wait_s == pytest.approx(1.0)


def test_a_few_that_take_long_are_no_backlog() -> None:
    assert watched((0, NO_BACKLOG - 1, 0), (600, NO_BACKLOG - 1, 0)).wait_s == 0


def test_a_log_that_begins_anew_is_another_one() -> None:
    assert watched((0, 1000, 9000), (1, 1000, 10), (2, 1000, 110)).wait_s == pytest.approx(10.0)


def test_what_is_not_known_is_no_pressure() -> None:
    pressure = watched((0, 5000, 0), (600, 5000, 0))

    pressure.forget()

    assert (pressure.wait_s, pressure.waiting, pressure.batch) == (0, 0, 0)
