from __future__ import annotations

import asyncio

import pytest

from schemas.kafka.records import ConsumerRecord
from streams.runtime import batch_throttle as courtesy
from streams.runtime.lane_queue import BATCH_SLICE, MAX_BATCH_FETCHES, MAX_INTERACTIVE_FETCHES, Delivered, LaneQueue
from streams.runtime.offset_tracker import OffsetTracker


def fetched(tracker: OffsetTracker, topic: str, count: int, partition: int = 0, first: int = 0) -> list[Delivered]:
    return [
        (ConsumerRecord(topic, partition, offset, 0, None, b"", ()), tracker.deliver((topic, partition), offset))
        for offset in range(first, first + count)
    ]


def is_batch(topic: str) -> bool:
    return topic == "batch"


async def test_interactive_records_come_before_the_rest_of_a_batch() -> None:
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "batch", 40))

    first = await intake.get()
    await intake.put(fetched(tracker, "now", 3))
    second, third = await intake.get(), await intake.get()

    assert [len(each) for each in (first, second, third)] == [BATCH_SLICE, 3, BATCH_SLICE]
    assert second[0][0].topic == "now"
    assert [record.offset for record, _ in third] == list(range(BATCH_SLICE, 2 * BATCH_SLICE))


async def test_while_the_batch_lane_rests_only_interactive_records_are_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "MEASURE_INTERVAL_S", 60.0)
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "batch", 2 * BATCH_SLICE))
    await intake.get()

    waiting = asyncio.ensure_future(intake.get())
    await asyncio.sleep(0)
    rests = not waiting.done()
    await intake.put(fetched(tracker, "now", 1))
    now = await waiting
    later = asyncio.ensure_future(intake.get())
    await asyncio.sleep(0)
    still_rests = not later.done()
    intake._throttle._go_on()

    assert (rests, still_rests) == (True, True)
    assert [each[0][0].topic for each in (now, await later)] == ["now", "batch"]


async def test_no_more_batch_records_are_begun_than_there_are_places() -> None:
    free = 2
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: free)
    await intake.put(fetched(tracker, "batch", 5))

    first = await intake.get()
    free = 0
    waiting = asyncio.ensure_future(intake.get())
    await asyncio.sleep(0)
    was_done = waiting.done()
    free = 1
    intake.notify()

    assert len(first) == 2
    assert not was_done
    assert len(await waiting) == 1


async def test_a_slice_is_of_one_partition() -> None:
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "batch", 2, partition=0))
    await intake.put(fetched(tracker, "batch", 2, partition=1))

    slices = [await intake.get(), await intake.get()]

    assert [[record.partition for record, _ in each] for each in slices] == [[0, 0], [1, 1]]


async def test_what_was_lost_meanwhile_is_not_begun() -> None:
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "now", 2))
    tracker.revoke([("now", 0)])
    await intake.put(fetched(tracker, "now", 1, first=2))

    batch = await intake.get()

    assert [record.offset for record, _ in batch] == [2]


async def test_who_brings_waits_while_too_much_is_here() -> None:
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 100)
    for number in range(MAX_INTERACTIVE_FETCHES - 1):
        await intake.put(fetched(tracker, "now", 1, first=number))

    last = asyncio.ensure_future(intake.put(fetched(tracker, "now", 1, first=MAX_INTERACTIVE_FETCHES)))
    await asyncio.sleep(0)
    waited = not last.done()
    await intake.get()
    await last

    assert waited


async def test_a_backlog_of_batch_records_ends_their_fetching_only() -> None:
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 0)

    await intake.put(fetched(tracker, "batch", MAX_BATCH_FETCHES))

    assert not intake.accepts("batch")
    assert intake.accepts("now")


async def test_who_is_closed_gives_nothing_more() -> None:
    tracker, intake = OffsetTracker(), LaneQueue(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "now", 2))

    intake.close()
    waiting = asyncio.ensure_future(intake.get())
    await asyncio.sleep(0.01)
    waited = not waiting.done()
    waiting.cancel()

    assert waited
