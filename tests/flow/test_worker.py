"""Rules that the driver adds to Faust, on a real broker, so that an upgrade of Faust that breaks one is noticed."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import TopicPartition

from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.headers import last_value
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import Topics
from streams.pipeline.stage import AsyncStage, DeadLetterError, Emit, Stage, TransformStage
from streams.runtime.worker import Worker

pytestmark = pytest.mark.flow


class Echo(TransformStage):
    """Returns each record unchanged; raises a bug on `poison`, and a DeadLetterError on `unreadable`."""

    name = "route"

    def __init__(self, topics: Topics, to: str | None = None) -> None:
        self._to = to or topics.routed.name
        self._letters = topics.admitted.dead_letters

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        if record.value == b"poison":
            raise ZeroDivisionError
        if record.value == b"unreadable":
            raise DeadLetterError("this can't be read")
        return [ProducerRecord(self._to, record.key, record.value, record.headers, dead_letter_topic=self._letters)]


class Slow(AsyncStage):
    """Counts its calls; a record whose value starts with `slow` waits until it is released."""

    name = "call"

    def __init__(self, topics: Topics) -> None:
        self._topics = topics
        self.calls: Counter[bytes] = Counter()
        self.release = asyncio.Event()
        self.closed = False
        self.prepared: list[int] = []
        self.revoked: list[int] = []

    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        assert record.value is not None
        self.calls[record.value] += 1
        await emit(ProducerRecord(self._topics.attempts.name, record.key, record.value, partition=record.partition))
        if record.value.startswith(b"slow"):
            await self.release.wait()
        return [ProducerRecord(self._topics.outcomes.name, record.key, record.value)]

    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:
        assert since_ms > 0
        self.prepared.append(partition)

    def on_partition_revoked(self, partition: int) -> None:
        self.revoked.append(partition)

    async def close(self) -> None:
        self.closed = True


@contextlib.asynccontextmanager
async def running(stage: Stage, topics: Topics, broker: EmbeddedBroker) -> AsyncIterator[Worker]:
    worker = Worker(stage, topics, broker.bootstrap_servers)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


async def until(check: Callable[[], bool], within_s: float = 30.0) -> None:
    deadline = time.monotonic() + within_s
    while not check():
        assert time.monotonic() < deadline, "it did not come to that in time"
        await asyncio.sleep(0.02)


async def send(broker: EmbeddedBroker, topic: str, values: Sequence[bytes], partition: int | None = None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers) as producer:
        for value in values:
            await producer.send(topic, value, key=value, partition=partition, headers=[("n", value)])
        await producer.flush()


async def read(broker: EmbeddedBroker, topic: str, count: int, within_s: float = 30.0) -> list[ConsumerRecord]:
    """Return the first records of a topic."""
    found: list[ConsumerRecord] = []
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        deadline = time.monotonic() + within_s
        while len(found) < count and time.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
    return found


async def committed(broker: EmbeddedBroker, group: str, topic: str, partition: int) -> int | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(group)
        found = offsets.get(TopicPartition(topic, partition))
        return None if found is None or found.offset < 0 else int(found.offset)
    finally:
        await admin.close()


async def test_outputs_are_written_before_their_inputs_are_committed(broker: EmbeddedBroker, topics: Topics) -> None:
    values = [f"{number}".encode() for number in range(500)]
    await send(broker, topics.admitted.name, values)

    async with running(Echo(topics), topics, broker):
        found = await read(broker, topics.routed.name, len(values))

    assert sorted(record.value or b"" for record in found) == sorted(values)
    ends = [await committed(broker, topics.group("route"), topics.admitted.name, number) for number in range(4)]
    assert sum(end or 0 for end in ends) == len(values)


async def test_record_that_fails_is_a_dead_letter_and_others_are_processed(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    await send(broker, topics.admitted.name, [b"before", b"poison", b"unreadable", b"after"], partition=1)

    async with running(Echo(topics), topics, broker):
        found = await read(broker, topics.routed.name, 2)
        letters = await read(broker, topics.admitted.dead_letters, 2)

    assert sorted(record.value or b"" for record in found) == [b"after", b"before"]
    assert [(letter.value, letter.partition) for letter in letters] == [(b"poison", 1), (b"unreadable", 1)]
    assert last_value(letters[0].headers, "n") == b"poison"
    assert last_value(letters[0].headers, "__connect.errors.offset") == b"1"
    assert last_value(letters[0].headers, "kafka_dlt-exception-message") == b"route failed on this record"
    assert last_value(letters[1].headers, "kafka_dlt-exception-message") == b"this can't be read"


async def test_output_to_a_missing_topic_becomes_a_dead_letter_without_delay(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    await send(broker, topics.admitted.name, [b"a", b"b", b"c"])

    async with running(Echo(topics, to=f"{topics.prefix}replies.nobody"), topics, broker) as worker:
        await until(lambda: worker.assigned == 8)
        began = time.monotonic()
        letters = await read(broker, topics.admitted.dead_letters, 3)

    assert {letter.value for letter in letters} == {b"a", b"b", b"c"}
    assert time.monotonic() - began < 5


async def test_position_stays_before_a_record_in_flight(broker: EmbeddedBroker, topics: Topics) -> None:
    stage = Slow(topics)
    await send(broker, topics.routed.name, [b"slow", *(f"{n}".encode() for n in range(50))], partition=2)

    async with running(stage, topics, broker) as worker:
        await until(lambda: worker.in_flight == 1 and stage.calls.total() == 51)
        await asyncio.wait_for(read(broker, topics.outcomes.name, 50), 30)
        while_slow = await committed(broker, topics.group("call"), topics.routed.name, 2)
        stage.release.set()
        await until(lambda: worker.in_flight == 0)

    assert while_slow in (None, 0)
    assert await committed(broker, topics.group("call"), topics.routed.name, 2) == 51


async def test_stopping_worker_finishes_records_in_flight_and_leaves_the_group(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    first, second = Slow(topics), Slow(topics)
    second.release.set()
    await send(broker, topics.routed.name, [b"slow-1", b"slow-2"])
    async with running(first, topics, broker) as worker:
        await until(lambda: worker.in_flight == 2)
        asyncio.get_running_loop().call_later(0.3, first.release.set)

    began = time.monotonic()
    async with running(second, topics, broker) as successor:
        await send(broker, topics.routed.name, [b"next"])
        await until(lambda: second.calls[b"next"] == 1)
        joined_after = time.monotonic() - began
        await until(lambda: successor.in_flight == 0)

    assert first.closed
    assert joined_after < 8
    assert second.calls == Counter({b"next": 1})
    assert len(await read(broker, topics.outcomes.name, 3)) == 3


async def test_worker_without_its_partitions_writes_no_outcome(broker: EmbeddedBroker, topics: Topics) -> None:
    first, second = Slow(topics), Slow(topics)
    second.release.set()
    values = [f"slow-{number}".encode() for number in range(20)]
    await send(broker, topics.routed.name, values)
    async with running(first, topics, broker) as worker:
        await until(lambda: worker.in_flight == 20)

        async with running(second, topics, broker) as other:
            await until(lambda: other.assigned == 4 and worker.assigned == 4)
            first.release.set()
            await until(lambda: other.in_flight == 0 and worker.in_flight == 0 and second.calls.total() > 0)

        outcomes = await read(broker, topics.outcomes.name, 20)
    more = await read(broker, topics.outcomes.name, 21, within_s=2)

    assert sorted(record.value or b"" for record in outcomes) == sorted(values)
    assert len(more) == 20
    assert set(first.revoked) <= set(first.prepared)
    assert len(first.prepared) > len(set(first.prepared))


async def test_killed_broker_loses_no_record(own_broker: EmbeddedBroker, own_topics: Topics) -> None:
    values = [f"{number}".encode() for number in range(2000)]
    async with running(Echo(own_topics), own_topics, own_broker):
        await send(own_broker, own_topics.admitted.name, values[:1000])
        own_broker.kill()
        await own_broker.start()
        await send(own_broker, own_topics.admitted.name, values[1000:])
        found = await read(own_broker, own_topics.routed.name, len(values))
        distinct = {record.value for record in found}
        if len(distinct) < len(values):  # a batch whose acknowledgement was lost may be written twice
            distinct |= {record.value for record in await read(own_broker, own_topics.routed.name, len(values) * 2, 5)}

    assert distinct == set(values)


async def test_ownership_of_partitions_without_a_record_is_confirmed(broker: EmbeddedBroker, topics: Topics) -> None:
    async with running(Echo(topics), topics, broker) as worker:
        await until(lambda: len(list(worker._tracker.partitions)) > 0)

        await asyncio.wait_for(worker._confirm(), 10)
