from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Awaitable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import AsyncStage, Emit, PartitionRevokedError
from streams.runtime.async_runner import AsyncRunner, InFlightLimit
from streams.runtime.offset_tracker import Delivered, OffsetTracker
from streams.runtime.output_writer import OutputWriter
from tests.eventually import eventually


class Stage(AsyncStage):
    """Emits `begun`, waits until it is released, and returns `done` and `always`."""

    name = "work"

    def __init__(self) -> None:
        self.release = asyncio.Event()
        self.prepared: list[int] = []
        self.revoked: list[int] = []
        self.ready = asyncio.Event()
        self.ready.set()
        self.begun = 0
        self.revocations: list[PartitionRevokedError] = []

    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        try:
            await emit(ProducerRecord("begun", None, record.value, ()))
        except PartitionRevokedError as revoked:
            self.revocations.append(revoked)
            raise
        self.begun += 1
        await self.release.wait()
        return [
            ProducerRecord("done", None, record.value, ()),
            ProducerRecord("always", None, record.value, (), write_after_revocation=True),
        ]

    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:  # noqa: ARG002 - as the protocol has it
        self.prepared.append(partition)
        await self.ready.wait()

    def on_partition_revoked(self, partition: int) -> None:
        self.revoked.append(partition)

    async def close(self) -> None:
        pass


class Rig:
    def __init__(self, total: int = 10, batch_share: float = 0.5, max_bytes: int = 1000) -> None:
        self.stage = Stage()
        self.tracker = OffsetTracker()
        self.written: list[str] = []
        self.finished: list[int] = []
        self.confirmed = asyncio.Event()
        self.confirmed.set()
        self.freed = 0
        self.revoke_on = ""
        """Topic of the output whose write revokes the partition."""
        self.limit = InFlightLimit(total, max_bytes, batch_share, lambda topic: topic == "batch", self._free)
        writer = OutputWriter(self._write, "work", "g", lambda _: None)
        self.runner = AsyncRunner(self.stage, writer, self._finish, self.limit, self._confirm)

    def _free(self) -> None:
        self.freed += 1

    async def _confirm(self) -> None:
        await self.confirmed.wait()

    async def _write(self, output: ProducerRecord) -> Awaitable[object]:
        self.written.append(output.topic)
        if output.topic == self.revoke_on:
            self.tracker.revoke([("in", 3)])
        return asyncio.sleep(0)

    def _finish(self, batch: list[Delivered]) -> None:
        self.finished += [record.offset for record, _ in batch]

    def fetched(self, *offsets: int, topic: str = "in", partition: int = 3) -> list[Delivered]:
        return [
            (ConsumerRecord(topic, partition, at, 0, None, b"v", ()), self.tracker.deliver((topic, partition), at))
            for at in offsets
        ]


async def test_record_is_finished_when_its_outputs_are_written() -> None:
    rig = Rig()
    rig.stage.release.set()

    await rig.runner.take(rig.fetched(0))
    await rig.runner.drain()

    assert rig.written == ["begun", "done", "always"]
    assert rig.finished == [0]
    assert rig.freed == 1


async def test_stage_prepares_a_partition_once_and_is_told_once_of_its_revocation() -> None:
    rig = Rig()
    rig.stage.release.set()
    for topic in ("in", "batch", "in"):
        await rig.runner.take(rig.fetched(0, topic=topic))

    rig.runner.revoke({("in", 3), ("batch", 3), ("in", 7)})

    assert rig.stage.prepared == [3, 3]
    assert rig.stage.revoked == [3]


async def test_partition_revoked_during_preparation_starts_no_record() -> None:
    rig = Rig()
    rig.stage.ready.clear()
    taking = asyncio.ensure_future(rig.runner.take(rig.fetched(0, 1)))
    await eventually(lambda: rig.stage.prepared)

    rig.tracker.revoke([("in", 3)])
    rig.stage.ready.set()
    await taking
    await rig.runner.drain()

    assert rig.stage.begun == 0
    assert rig.stage.revoked == [3]


async def test_record_revoked_before_its_first_emit_writes_nothing() -> None:
    rig = Rig()
    rig.confirmed.clear()
    await rig.runner.take(rig.fetched(0))
    await asyncio.sleep(0.01)

    rig.tracker.revoke([("in", 3)])
    rig.confirmed.set()
    await rig.runner.drain()

    assert (rig.written, rig.stage.begun) == ([], 0)


async def test_revoked_record_writes_only_write_after_revocation_outputs() -> None:
    rig = Rig()
    await rig.runner.take(rig.fetched(0))
    await eventually(lambda: rig.stage.begun)

    rig.tracker.revoke([("in", 3)])
    rig.stage.release.set()
    await rig.runner.drain()

    assert rig.written == ["begun", "always"]


async def test_drain_during_preparation_starts_no_record() -> None:
    rig = Rig()
    rig.stage.ready.clear()
    taking = asyncio.ensure_future(rig.runner.take(rig.fetched(0, 1)))
    await eventually(lambda: rig.stage.prepared)

    await rig.runner.drain()
    rig.stage.ready.set()
    await taking
    await rig.runner.drain()

    assert (rig.stage.begun, rig.written) == (0, [])
    assert rig.limit.batch_available == 5
    assert rig.freed == 2


async def test_emit_reports_a_revocation_after_the_write() -> None:
    rig = Rig()
    rig.revoke_on = "begun"

    await rig.runner.take(rig.fetched(0))
    await rig.runner.drain()

    assert (rig.written, rig.stage.begun) == (["begun"], 0)
    assert [error.already_written for error in rig.stage.revocations] == [True]


async def test_batch_records_use_only_their_share_of_slots() -> None:
    rig = Rig(total=10, batch_share=0.3)

    await rig.runner.take(rig.fetched(0, 1, topic="batch"))
    left = rig.limit.batch_available
    rig.stage.release.set()
    await rig.runner.drain()

    assert (left, rig.limit.batch_available) == (1, 3)


async def test_take_waits_for_a_free_slot() -> None:
    rig = Rig(total=1)

    taking = asyncio.ensure_future(rig.runner.take(rig.fetched(0, 1)))
    await eventually(lambda: rig.stage.begun)
    begun = rig.stage.begun
    rig.stage.release.set()
    await taking
    await rig.runner.drain()

    assert begun == 1
    assert sorted(rig.finished) == [0, 1]


async def test_records_beyond_the_byte_limit_run_one_after_the_other() -> None:
    rig = Rig(max_bytes=4)
    small, large, last = (
        (dataclasses.replace(record, value=b"v" * size), delivery)
        for (record, delivery), size in zip(rig.fetched(0, 1, 2), (4, 9, 4), strict=True)
    )

    taking = asyncio.ensure_future(rig.runner.take([small, large, last]))
    await eventually(lambda: rig.stage.begun)
    await asyncio.sleep(0.01)
    begun_at_first = rig.stage.begun
    rig.stage.release.set()
    await taking
    await rig.runner.drain()

    assert begun_at_first == 1
    assert rig.finished == [0, 1, 2]


async def test_paused_worker_writes_nothing_before_the_confirmation() -> None:
    rig = Rig()
    await rig.runner.take(rig.fetched(0))
    await eventually(lambda: rig.stage.begun)

    rig.confirmed.clear()
    rig.stage.release.set()
    await asyncio.sleep(0.01)
    before = list(rig.written)
    rig.tracker.revoke([("in", 3)])
    rig.confirmed.set()
    await rig.runner.drain()

    assert before == ["begun"]
    assert rig.written == ["begun", "always"]
