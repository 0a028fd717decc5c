from __future__ import annotations

import asyncio

import pytest

from schemas.kafka.records import ConsumerRecord
from streams.runtime import batch_throttle
from streams.runtime.lane_queue import BATCH_SLICE, MAX_BATCH_FETCHES, MAX_INTERACTIVE_FETCHES, LaneQueue
from streams.runtime.offset_tracker import Delivered, OffsetTracker


def fetched(tracker: OffsetTracker, topic: str, count: int, partition: int = 0, first: int = 0) -> list[Delivered]:
    return [
        (ConsumerRecord(topic, partition, offset, 0, None, b"", ()), tracker.deliver((topic, partition), offset))
        for offset in range(first, first + count)
    ]


def is_batch(topic: str) -> bool:
    return topic == "batch"


async def test_queue_returns_interactive_records_before_the_rest_of_a_batch() -> None:
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 100, asyncio.Event())
    await queue.put(fetched(tracker, "batch", 40))

    first = await queue.get()
    await queue.put(fetched(tracker, "now", 3))
    second, third = await queue.get(), await queue.get()

    assert [len(each) for each in (first, second, third)] == [BATCH_SLICE, 3, BATCH_SLICE]
    assert second[0][0].topic == "now"
    assert [record.offset for record, _ in third] == list(range(BATCH_SLICE, 2 * BATCH_SLICE))


async def test_queue_returns_only_interactive_records_during_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch_throttle, "MEASURE_INTERVAL_S", 60.0)
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 100, asyncio.Event())
    await queue.put(fetched(tracker, "batch", 2 * BATCH_SLICE))
    await queue.get()

    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    paused = not waiting.done()
    await queue.put(fetched(tracker, "now", 1))
    now = await waiting
    later = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    still_paused = not later.done()
    queue._throttle._resume()

    assert (paused, still_paused) == (True, True)
    assert [each[0][0].topic for each in (now, await later)] == ["now", "batch"]


async def test_queue_returns_only_as_many_batch_records_as_are_available() -> None:
    free, changed = 2, asyncio.Event()
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: free, changed)
    await queue.put(fetched(tracker, "batch", 5))

    first = await queue.get()
    free = 0
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0)
    was_done = waiting.done()
    free = 1
    changed.set()

    assert len(first) == 2
    assert not was_done
    assert len(await waiting) == 1


async def test_slice_contains_one_partition() -> None:
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 100, asyncio.Event())
    await queue.put(fetched(tracker, "batch", 2, partition=0))
    await queue.put(fetched(tracker, "batch", 2, partition=1))

    slices = [await queue.get(), await queue.get()]

    assert [[record.partition for record, _ in each] for each in slices] == [[0, 0], [1, 1]]


async def test_queue_skips_records_of_revoked_partitions() -> None:
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 100, asyncio.Event())
    await queue.put(fetched(tracker, "now", 2))
    tracker.revoke([("now", 0)])
    await queue.put(fetched(tracker, "now", 1, first=2))

    batch = await queue.get()

    assert [record.offset for record, _ in batch] == [2]


async def test_queue_put_blocks_when_16_fetches_wait() -> None:
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 100, asyncio.Event())
    for number in range(MAX_INTERACTIVE_FETCHES - 1):
        await queue.put(fetched(tracker, "now", 1, first=number))

    last = asyncio.ensure_future(queue.put(fetched(tracker, "now", 1, first=MAX_INTERACTIVE_FETCHES)))
    await asyncio.sleep(0)
    waited = not last.done()
    await queue.get()
    await last

    assert waited


async def test_full_batch_lane_rejects_only_batch_topics() -> None:
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 0, asyncio.Event())

    await queue.put(fetched(tracker, "batch", MAX_BATCH_FETCHES))

    assert not queue.accepts("batch")
    assert queue.accepts("now")


async def test_closed_queue_returns_nothing() -> None:
    tracker, queue = OffsetTracker(), LaneQueue(is_batch, lambda: 100, asyncio.Event())
    await queue.put(fetched(tracker, "now", 2))

    queue.close()
    waiting = asyncio.ensure_future(queue.get())
    await asyncio.sleep(0.01)
    waited = not waiting.done()
    waiting.cancel()

    assert waited
