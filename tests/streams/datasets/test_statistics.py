from __future__ import annotations

from streams.datasets.statistics import ExportStatistics


def test_duplicate_is_found_whatever_the_order_of_fields() -> None:
    tally = ExportStatistics()

    assert tally.is_new({"messages": [{"role": "user", "content": "a"}]})
    assert not tally.is_new({"messages": [{"content": "a", "role": "user"}]})
    assert tally.is_new({"messages": [{"role": "user", "content": "a"}], "tools": [{}]})


def test_time_range_covers_exported_requests_in_any_order() -> None:
    tally = ExportStatistics()

    for received in (5, 2, 9):
        tally.keep("default", {"received_ms": received, "config_hash": "c"})

    assert tally.received_ms == (2, 9)
    assert tally.examples == 3
