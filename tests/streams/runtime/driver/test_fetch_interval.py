from __future__ import annotations

from streams.runtime.driver.fetch_interval import MAX_PAUSE_S, RATE_WINDOW_S, FetchInterval


def beaten(records: int, every_s: float, seconds: float = 3.0) -> tuple[FetchInterval, float]:
    rhythm, now_s = FetchInterval(), 100.0
    for _ in range(int(seconds / every_s)):
        now_s += every_s
        rhythm.record_fetch(records, now_s)
    return rhythm, now_s


def test_who_asks_one_by_one_never_waits_for_a_fetch() -> None:
    rhythm, last_s = beaten(1, every_s=0.008)

    assert rhythm.pause_s(last_s + 0.008) == 0


def test_the_more_comes_the_longer_is_the_pause_up_to_a_bound() -> None:
    pauses = [beaten(records, every_s=0.01)[0].pause_s(103.0) for records in (1, 3, 100, 10_000)]

    assert pauses == sorted(pauses)
    assert pauses[0] < pauses[1] < pauses[2]
    assert pauses[2] <= MAX_PAUSE_S + 1e-9
    assert pauses[3] == pauses[2]


def test_what_came_long_ago_does_not_count() -> None:
    rhythm, last_s = beaten(100, every_s=0.01)

    rhythm.record_fetch(0, last_s + 20 * RATE_WINDOW_S)

    assert rhythm.pause_s(last_s + 20 * RATE_WINDOW_S) < MAX_PAUSE_S / 1000


def test_time_that_has_passed_since_the_last_fetch_counts() -> None:
    rhythm, last_s = beaten(100, every_s=0.01)

    assert rhythm.pause_s(last_s + 0.004) < rhythm.pause_s(last_s)
    assert rhythm.pause_s(last_s + 1) == 0
