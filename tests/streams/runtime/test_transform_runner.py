from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import TransformStage
from streams.runtime.lane_queue import Delivered
from streams.runtime.offset_tracker import OffsetTracker
from streams.runtime.output_writer import OutputWriter
from streams.runtime.transform_runner import TransformRunner


class Log:
    """Takes what is written, and acknowledges it when it is let."""

    def __init__(self) -> None:
        self.written: list[ProducerRecord] = []
        self.acknowledge = asyncio.Event()

    async def write(self, output: ProducerRecord) -> Awaitable[object]:
        self.written.append(output)
        return asyncio.ensure_future(self.acknowledge.wait())


def nothing_at_once(_: ProducerRecord) -> None:
    """Leave every record to ``write``."""


class Echo(TransformStage):
    """Says what it was told; of `bad` it can make nothing."""

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


async def test_a_batch_is_finished_when_all_it_led_to_is_acknowledged() -> None:
    log = Log()
    finished: list[list[Delivered]] = []
    deciding = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", nothing_at_once), finished.append)
    batch = fetched(b"a", b"b")

    await deciding.take(batch)
    await asyncio.sleep(0.01)
    before = list(finished)
    log.acknowledge.set()
    await deciding.drain()

    assert [output.value for output in log.written] == [b"a", b"b"]
    assert before == []
    assert finished == [batch]


async def test_a_record_that_a_stage_fails_on_is_a_dead_letter_between_its_neighbours() -> None:
    log = Log()
    log.acknowledge.set()
    deciding = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", nothing_at_once), lambda _: None)

    await deciding.take(fetched(b"a", b"bad", b"c"))
    await deciding.drain()

    assert [(output.topic, output.value) for output in log.written] == [
        ("out", b"a"),
        ("in-dlt", b"bad"),
        ("out", b"c"),
    ]


class Twice(Echo):
    """Says it twice."""

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        return [*super().process(record), *super().process(record)]


class Narrow(Log):
    """Takes one record and no second one, and any dead letter at once."""

    async def write(self, output: ProducerRecord) -> Awaitable[object]:
        if output.topic == "in-dlt":
            self.written.append(output)
            return asyncio.ensure_future(asyncio.sleep(0))
        if self.written:
            raise ValueError
        return await super().write(output)


async def test_what_was_written_before_a_record_failed_is_waited_for_as_well() -> None:
    log = Narrow()
    finished: list[list[Delivered]] = []
    deciding = TransformRunner(Twice(), OutputWriter(log.write, "echo", "g", nothing_at_once), finished.append)

    await deciding.take(fetched(b"a"))
    await asyncio.sleep(0.01)
    before = list(finished)
    log.acknowledge.set()
    await deciding.drain()

    assert [output.topic for output in log.written] == ["out", "in-dlt"]
    assert (len(before), len(finished)) == (0, 1)


async def test_closing_gives_up_what_is_not_acknowledged_and_finishes_nothing() -> None:
    log = Log()
    finished: list[list[Delivered]] = []
    deciding = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", nothing_at_once), finished.append)
    await deciding.take(fetched(b"a"))

    await asyncio.wait_for(deciding.close(), 1)

    assert finished == []


async def test_what_can_be_appended_at_once_is_not_written_again_and_is_waited_for() -> None:
    log = Log()
    finished: list[list[Delivered]] = []
    appended: list[ProducerRecord] = []
    acknowledged = asyncio.get_running_loop().create_future()

    def append(output: ProducerRecord) -> Awaitable[object]:
        appended.append(output)
        return acknowledged

    deciding = TransformRunner(Echo(), OutputWriter(log.write, "echo", "g", append), finished.append)

    await deciding.take(fetched(b"a"))
    await asyncio.sleep(0.01)
    before = list(finished)
    acknowledged.set_result(None)
    await deciding.drain()

    assert [output.value for output in appended] == [b"a"]
    assert (log.written, before, len(finished)) == ([], [], 1)
