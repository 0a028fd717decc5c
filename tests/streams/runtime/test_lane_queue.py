from __future__ import annotations

import asyncio

import pytest

from schemas.kafka.records import Record
from streams.runtime import batch_throttle as courtesy
from streams.runtime.lane_queue import BATCH_WAITING, SLICE, WAITING, Delivered, Intake
from streams.runtime.offset_tracker import Tracker


def fetched(tracker: Tracker, topic: str, count: int, partition: int = 0, first: int = 0) -> list[Delivered]:
    return [
        (Record(topic, partition, offset, 0, None, b"", ()), tracker.deliver((topic, partition), offset))
        for offset in range(first, first + count)
    ]


def is_batch(topic: str) -> bool:
    return topic == "batch"


async def test_interactive_records_come_before_the_rest_of_a_batch() -> None:
    tracker, intake = Tracker(), Intake(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "batch", 40))

    first = await intake.next()
    await intake.put(fetched(tracker, "now", 3))
    second, third = await intake.next(), await intake.next()

    assert [len(each) for each in (first, second, third)] == [SLICE, 3, SLICE]
    assert second[0][0].topic == "now"
    assert [record.offset for record, _ in third] == list(range(SLICE, 2 * SLICE))


async def test_while_the_batch_lane_rests_only_interactive_records_are_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courtesy, "LOOK_S", 60.0)
    tracker, intake = Tracker(), Intake(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "batch", 2 * SLICE))
    await intake.next()

    waiting = asyncio.ensure_future(intake.next())
    await asyncio.sleep(0)
    rests = not waiting.done()
    await intake.put(fetched(tracker, "now", 1))
    now = await waiting
    later = asyncio.ensure_future(intake.next())
    await asyncio.sleep(0)
    still_rests = not later.done()
    intake._courtesy._go_on()

    assert (rests, still_rests) == (True, True)
    assert [each[0][0].topic for each in (now, await later)] == ["now", "batch"]


async def test_no_more_batch_records_are_begun_than_there_are_places() -> None:
    free = 2
    tracker, intake = Tracker(), Intake(is_batch, lambda: free)
    await intake.put(fetched(tracker, "batch", 5))

    first = await intake.next()
    free = 0
    waiting = asyncio.ensure_future(intake.next())
    await asyncio.sleep(0)
    was_done = waiting.done()
    free = 1
    intake.wake()

    assert len(first) == 2
    assert not was_done
    assert len(await waiting) == 1


async def test_a_slice_is_of_one_partition() -> None:
    tracker, intake = Tracker(), Intake(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "batch", 2, partition=0))
    await intake.put(fetched(tracker, "batch", 2, partition=1))

    slices = [await intake.next(), await intake.next()]

    assert [[record.partition for record, _ in each] for each in slices] == [[0, 0], [1, 1]]


async def test_what_was_lost_meanwhile_is_not_begun() -> None:
    tracker, intake = Tracker(), Intake(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "now", 2))
    tracker.revoke([("now", 0)])
    await intake.put(fetched(tracker, "now", 1, first=2))

    batch = await intake.next()

    assert [record.offset for record, _ in batch] == [2]


async def test_who_brings_waits_while_too_much_is_here() -> None:
    tracker, intake = Tracker(), Intake(is_batch, lambda: 100)
    for number in range(WAITING - 1):
        await intake.put(fetched(tracker, "now", 1, first=number))

    last = asyncio.ensure_future(intake.put(fetched(tracker, "now", 1, first=WAITING)))
    await asyncio.sleep(0)
    waited = not last.done()
    await intake.next()
    await last

    assert waited


async def test_a_backlog_of_batch_records_ends_their_fetching_only() -> None:
    tracker, intake = Tracker(), Intake(is_batch, lambda: 0)

    await intake.put(fetched(tracker, "batch", BATCH_WAITING))

    assert not intake.wants("batch")
    assert intake.wants("now")


async def test_who_is_closed_gives_nothing_more() -> None:
    tracker, intake = Tracker(), Intake(is_batch, lambda: 100)
    await intake.put(fetched(tracker, "now", 2))

    intake.close()
    waiting = asyncio.ensure_future(intake.next())
    await asyncio.sleep(0.01)
    waited = not waiting.done()
    waiting.cancel()

    assert waited
