from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import TransformStage
from streams.runtime.offset_tracker import Delivered, OffsetTracker
from streams.runtime.output_writer import OutputWriter
from streams.runtime.transform_runner import TransformRunner


class Log:
    """Records writes, and acknowledges them when a test allows it."""

    def __init__(self) -> None:
        self.written: list[ProducerRecord] = []
        self.acknowledge = asyncio.Event()

    async def write(self, output: ProducerRecord) -> Awaitable[object]:
        self.written.append(output)
        return asyncio.ensure_future(self.acknowledge.wait())


def append_nothing(_: ProducerRecord) -> None:
    """Append no record, so that ``write`` gets them all."""


class Echo(TransformStage):
    """Returns each record's value; raises on `bad`."""

    name = "echo"

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        if record.value == b"bad":
            raise ValueError
        return [ProducerRecord("out", record.key, record.value, ())]


def fetched(*values: bytes) -> list[Delivered]:
    tracker = OffsetTracker()
    return [
        (ConsumerRecord("in", 0, offset, 0, None, value, ()), tracker.deliver(("in", 0), offset))
        for offset, value in enumerate(values)
    ]


async def test_batch_is_finished_when_all_outputs_are_acknowledged() -> None:
    log = Log()
    finished: list[list[Delivered]] = []
    runner = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", append_nothing), finished.append)
    batch = fetched(b"a", b"b")

    await runner.take(batch)
    await asyncio.sleep(0.01)
    before = list(finished)
    log.acknowledge.set()
    await runner.drain()

    assert [output.value for output in log.written] == [b"a", b"b"]
    assert before == []
    assert finished == [batch]


async def test_failing_record_becomes_a_dead_letter_and_others_are_processed() -> None:
    log = Log()
    log.acknowledge.set()
    runner = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", append_nothing), lambda _: None)

    await runner.take(fetched(b"a", b"bad", b"c"))
    await runner.drain()

    assert [(output.topic, output.value) for output in log.written] == [
        ("out", b"a"),
        ("in-dlt", b"bad"),
        ("out", b"c"),
    ]


class Twice(Echo):
    """Returns each output twice."""

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        return [*super().process(record), *super().process(record)]


class Narrow(Log):
    """Accepts one record, raises on a second one, and acknowledges dead letters at once."""

    async def write(self, output: ProducerRecord) -> Awaitable[object]:
        if output.topic == "in-dlt":
            self.written.append(output)
            return asyncio.ensure_future(asyncio.sleep(0))
        if self.written:
            raise ValueError
        return await super().write(output)


async def test_batch_waits_for_outputs_sent_before_a_failure() -> None:
    log = Narrow()
    finished: list[list[Delivered]] = []
    runner = TransformRunner(Twice(), OutputWriter(log.write, "echo", "g", append_nothing), finished.append)

    await runner.take(fetched(b"a"))
    await asyncio.sleep(0.01)
    before = list(finished)
    log.acknowledge.set()
    await runner.drain()

    assert [output.topic for output in log.written] == ["out", "in-dlt"]
    assert (len(before), len(finished)) == (0, 1)


async def test_close_cancels_flushes_and_finishes_nothing() -> None:
    log = Log()
    finished: list[list[Delivered]] = []
    runner = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", append_nothing), finished.append)
    await runner.take(fetched(b"a"))

    await asyncio.wait_for(runner.close(), 1)

    assert finished == []


async def test_appended_output_is_not_written_again() -> None:
    log = Log()
    finished: list[list[Delivered]] = []
    appended: list[ProducerRecord] = []
    acknowledged = asyncio.get_running_loop().create_future()

    def append(output: ProducerRecord) -> Awaitable[object]:
        appended.append(output)
        return acknowledged

    runner = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", append), finished.append)

    await runner.take(fetched(b"a"))
    await asyncio.sleep(0.01)
    before = list(finished)
    acknowledged.set_result(None)
    await runner.drain()

    assert [output.value for output in appended] == [b"a"]
    assert (log.written, before, len(finished)) == ([], [], 1)
