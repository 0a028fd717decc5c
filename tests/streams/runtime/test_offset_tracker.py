from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from streams.runtime.offset_tracker import OffsetTracker


def test_position_stays_before_a_record_in_flight() -> None:
    tracker = OffsetTracker()
    slow, *quick = [tracker.deliver("p", offset) for offset in range(5)]

    for delivery in quick:
        delivery.finish()

    assert tracker.position("p") == 0
    slow.finish()
    assert tracker.position("p") == 5


def test_position_stays_at_an_unfinished_first_record() -> None:
    tracker = OffsetTracker()
    tracker.deliver("p", 31)
    tracker.deliver("p", 32).finish()

    assert tracker.position("p") == 31


def test_partition_without_deliveries_has_no_position() -> None:
    assert OffsetTracker().position("p") is None


def test_gaps_between_offsets_do_not_hold_the_position() -> None:
    tracker = OffsetTracker()
    for offset in (3, 9, 10):
        tracker.deliver("p", offset).finish()

    assert tracker.position("p") == 11


def test_finish_after_a_revocation_moves_no_position() -> None:
    tracker = OffsetTracker()
    before = tracker.deliver("p", 7)
    tracker.revoke(["p"])
    again = tracker.deliver("p", 7)

    before.finish()

    assert before.is_revoked
    assert not again.is_revoked
    assert tracker.position("p") == 7


def test_redelivery_span_counts_offsets_from_the_position_on() -> None:
    tracker = OffsetTracker()
    tracker.deliver("p", 0)
    tracker.deliver("p", 1).finish()
    tracker.deliver("q", 4)

    assert tracker.redelivery_span == 3
    assert tracker.in_flight == 2


@given(st.permutations(range(12)), st.integers(0, 12))
def test_position_is_always_the_first_unfinished_offset(order: list[int], count: int) -> None:
    tracker = OffsetTracker()
    deliveries = [tracker.deliver("p", offset) for offset in range(12)]

    for offset in order[:count]:
        deliveries[offset].finish()

    unfinished = set(range(12)) - set(order[:count])
    assert tracker.position("p") == min(unfinished, default=12)


def test_position_passes_offsets_without_records_once_everything_fetched_has_finished() -> None:
    tracker = OffsetTracker()
    delivery = tracker.deliver("p", 4)

    tracker.skip("p", fetched=5, position=9)
    unfinished = tracker.position("p")
    delivery.finish()

    assert unfinished == 4
    assert tracker.position("p") == 9


def test_position_does_not_pass_a_fetched_record_that_is_not_delivered_yet() -> None:
    tracker = OffsetTracker()
    tracker.deliver("p", 4).finish()

    tracker.skip("p", fetched=8, position=9)

    assert tracker.position("p") == 5


def test_partition_without_any_record_for_us_has_the_position_of_the_consumer() -> None:
    tracker = OffsetTracker()

    tracker.skip("p", fetched=None, position=7)

    assert tracker.position("p") == 7
