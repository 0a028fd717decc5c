from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import AsyncStage, Emit, PartitionRevokedError
from streams.runtime.async_runner import AsyncRunner, InFlightLimit
from streams.runtime.lane_queue import Delivered
from streams.runtime.offset_tracker import OffsetTracker
from streams.runtime.output_writer import OutputWriter
from tests.eventually import eventually


class Stage(AsyncStage):
    """Begins with `begun`, waits to be released, and says `done`."""

    name = "work"

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.prepared: list[int] = []
        self.revoked: list[int] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self.begun = 0
        self.lost: list[PartitionRevokedError] = []

    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        try:
            await emit(ProducerRecord("begun", None, record.value, ()))
        except PartitionRevokedError as lost:
            self.lost.append(lost)
            raise
        self.begun += 1
        await self.release.wait()
        return [
            ProducerRecord("done", None, record.value, ()),
            ProducerRecord("told", None, record.value, (), write_after_revocation=True),
        ]

    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:  # noqa: ARG002 - as the protocol has it
        self.prepared.append(partition)
        await self.ready.wait()

    def on_partition_revoked(self, partition: int) -> None:
        self.revoked.append(partition)

    async def close(self) -> None:
        pass


class Rig:
    def __init__(self, slots: int = 10, batch_share: float = 0.5, most_bytes: int = 1000) -> None:
        self.stage = Stage()
        self.tracker = OffsetTracker()
        self.written: list[str] = []
        self.finished: list[int] = []
        self.certain = asyncio.Event()
        self.certain.set()
        self.freed = 0
        self.lose_with = ""
        """The output with which the partition goes to another worker."""
        self.slots = InFlightLimit(slots, most_bytes, batch_share, lambda topic: topic == "batch", self._free)
        outbox = OutputWriter(self._write, "work", "g", lambda _: None)
        self.working = AsyncRunner(self.stage, outbox, self._finish, self.slots, self._sure)

    def _free(self) -> None:
        self.freed += 1

    async def _sure(self) -> None:
        await self.certain.wait()

    async def _write(self, output: ProducerRecord) -> Awaitable[object]:
        self.written.append(output.topic)
        if output.topic == self.lose_with:
            self.tracker.revoke([("in", 3)])
        return asyncio.sleep(0)

    def _finish(self, batch: list[Delivered]) -> None:
        self.finished += [record.offset for record, _ in batch]

    def fetched(self, *offsets: int, topic: str = "in", partition: int = 3) -> list[Delivered]:
        return [
            (ConsumerRecord(topic, partition, at, 0, None, b"v", ()), self.tracker.deliver((topic, partition), at))
            for at in offsets
        ]


async def test_what_was_begun_ends_on_the_log_and_is_finished() -> None:
    rig = Rig()
    rig.stage.release.set()

    await rig.working.take(rig.fetched(0))
    await rig.working.drain()

    assert rig.written == ["begun", "done", "told"]
    assert rig.finished == [0]
    assert rig.freed == 1


async def test_a_partition_is_prepared_once_and_told_once_when_it_goes() -> None:
    rig = Rig()
    rig.stage.release.set()
    for topic in ("in", "batch", "in"):
        await rig.working.take(rig.fetched(0, topic=topic))

    rig.working.revoke({("in", 3), ("batch", 3), ("in", 7)})

    assert rig.stage.prepared == [3, 3]
    assert rig.stage.revoked == [3]


async def test_who_loses_a_partition_while_it_is_prepared_begins_nothing_of_it() -> None:
    rig = Rig()
    rig.stage.ready.clear()
    taking = asyncio.ensure_future(rig.working.take(rig.fetched(0, 1)))
    await eventually(lambda: rig.stage.prepared)

    rig.tracker.revoke([("in", 3)])
    rig.stage.ready.set()
    await taking
    await rig.working.drain()

    assert rig.stage.begun == 0
    assert rig.stage.revoked == [3]


async def test_who_loses_a_record_before_it_begins_calls_nobody() -> None:
    rig = Rig()
    rig.certain.clear()
    await rig.working.take(rig.fetched(0))
    await asyncio.sleep(0.01)

    rig.tracker.revoke([("in", 3)])
    rig.certain.set()
    await rig.working.drain()

    assert (rig.written, rig.stage.begun) == ([], 0)


async def test_who_loses_it_later_writes_only_what_is_written_even_so() -> None:
    rig = Rig()
    await rig.working.take(rig.fetched(0))
    await eventually(lambda: rig.stage.begun)

    rig.tracker.revoke([("in", 3)])
    rig.stage.release.set()
    await rig.working.drain()

    assert rig.written == ["begun", "told"]


async def test_who_was_told_to_stop_while_a_partition_is_prepared_begins_nothing_of_it() -> None:
    rig = Rig()
    rig.stage.ready.clear()
    taking = asyncio.ensure_future(rig.working.take(rig.fetched(0, 1)))
    await eventually(lambda: rig.stage.prepared)

    await rig.working.drain()
    rig.stage.ready.set()
    await taking
    await rig.working.drain()

    assert (rig.stage.begun, rig.written) == (0, [])
    assert rig.slots.batch_available == 5
    assert rig.freed == 2


async def test_who_loses_a_record_while_it_is_written_that_it_begins_is_told_so() -> None:
    rig = Rig()
    rig.lose_with = "begun"

    await rig.working.take(rig.fetched(0))
    await rig.working.drain()

    assert (rig.written, rig.stage.begun) == (["begun"], 0)
    assert [lost.already_written for lost in rig.stage.lost] == [True]


async def test_batch_records_have_a_part_of_the_slots() -> None:
    rig = Rig(slots=10, batch_share=0.3)

    await rig.working.take(rig.fetched(0, 1, topic="batch"))
    left = rig.slots.batch_available
    rig.stage.release.set()
    await rig.working.drain()

    assert (left, rig.slots.batch_available) == (1, 3)


async def test_a_record_waits_for_a_slot() -> None:
    rig = Rig(slots=1)

    taking = asyncio.ensure_future(rig.working.take(rig.fetched(0, 1)))
    await eventually(lambda: rig.stage.begun)
    begun = rig.stage.begun
    rig.stage.release.set()
    await taking
    await rig.working.drain()

    assert begun == 1
    assert sorted(rig.finished) == [0, 1]


async def test_records_that_are_too_large_together_wait_for_each_other_and_one_too_large_goes_alone() -> None:
    rig = Rig(most_bytes=4)
    small, large, last = (
        (dataclasses.replace(record, value=b"v" * size), delivery)
        for (record, delivery), size in zip(rig.fetched(0, 1, 2), (4, 9, 4), strict=True)
    )

    taking = asyncio.ensure_future(rig.working.take([small, large, last]))
    await eventually(lambda: rig.stage.begun)
    await asyncio.sleep(0.01)
    begun_at_first = rig.stage.begun
    rig.stage.release.set()
    await taking
    await rig.working.drain()

    assert begun_at_first == 1
    assert rig.finished == [0, 1, 2]


async def test_who_was_held_up_at_its_work_ends_nothing_before_it_is_sure_what_is_its_own() -> None:
    rig = Rig()
    await rig.working.take(rig.fetched(0))
    await eventually(lambda: rig.stage.begun)

    rig.certain.clear()
    rig.stage.release.set()
    await asyncio.sleep(0.01)
    doubtful = list(rig.written)
    rig.tracker.revoke([("in", 3)])
    rig.certain.set()
    await rig.working.drain()

    assert doubtful == ["begun"]
    assert rig.written == ["begun", "told"]
