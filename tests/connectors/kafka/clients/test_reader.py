from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import confluent_kafka
import pytest
import pytest_asyncio

from connectors.kafka import BrokerUnavailableError, KafkaProducer, NoSuchTopicError, PartitionReader, ensure_topics
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import DAY, Topic, Topics

pytestmark = pytest.mark.flow


@pytest_asyncio.fixture
async def producer(broker: EmbeddedBroker) -> AsyncIterator[KafkaProducer]:
    async with KafkaProducer(broker.bootstrap_servers) as running:
        yield running


async def next_records(reader: PartitionReader, count: int, within: float = 20) -> list[ConsumerRecord]:
    found: list[ConsumerRecord] = []
    async with asyncio.timeout(within):
        while len(found) < count:
            found += await reader.read()
    return found


async def test_reader_returns_records_written_after_its_start(
    broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer
) -> None:
    place = (topics.ingress_replies.name, 1)
    await producer.send(ProducerRecord(*place[:1], b"k", b"before", partition=1))

    async with PartitionReader(broker.bootstrap_servers, [place]) as reader:
        await producer.send(ProducerRecord(place[0], b"k", b"after", partition=1))
        (record,) = await next_records(reader, 1)

    assert (record.offset, record.value) == (1, b"after")


async def test_reader_returns_only_its_partitions(
    broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer
) -> None:
    name = topics.ingress_replies.name

    async with PartitionReader(broker.bootstrap_servers, [(name, 0), (name, 3)]) as reader:
        for partition in range(4):
            await producer.send(ProducerRecord(name, b"k", b"v", partition=partition))
        found = await next_records(reader, 2)
        found += await reader.read(timeout_s=0.3)

    assert {record.partition for record in found} == {0, 3}


async def test_reader_starts_at_the_beginning(broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer) -> None:
    name = topics.ingress_replies.name
    for number in range(3):
        await producer.send(ProducerRecord(name, b"k", b"%d" % number, partition=0))

    async with PartitionReader(broker.bootstrap_servers, [(name, 0)], begin="beginning") as reader:
        found = await next_records(reader, 3)

    assert [record.value for record in found] == [b"0", b"1", b"2"]


async def test_read_returns_an_empty_list_after_the_timeout(broker: EmbeddedBroker, topics: Topics) -> None:
    async with PartitionReader(broker.bootstrap_servers, [(topics.ingress_replies.name, 0)]) as reader:
        assert await reader.read(timeout_s=0.05) == []


async def test_iteration_ends_when_the_reader_stops(
    broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer
) -> None:
    name = topics.ingress_replies.name
    reader = PartitionReader(broker.bootstrap_servers, [(name, 0)])
    await reader.start()
    await producer.send(ProducerRecord(name, b"k", b"v", partition=0))

    seen = []
    async with asyncio.timeout(10):
        async for records in reader:
            seen += records
            await reader.stop()

    assert len(seen) == 1


@pytest.mark.parametrize("codec", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_reader_decompresses_every_codec_of_librdkafka(
    broker: EmbeddedBroker, topics: Topics, codec: str
) -> None:
    name = topics.ingress_replies.name
    values = [b"%d " % number * 100 for number in range(20)]
    other = confluent_kafka.Producer(
        {"bootstrap.servers": broker.bootstrap_servers, "compression.type": codec, "linger.ms": 50}
    )

    async with PartitionReader(broker.bootstrap_servers, [(name, 0)]) as reader:
        for value in values:
            other.produce(name, value=value, key=b"k", partition=0, headers={"codec": codec.encode()})
        assert other.flush(10) == 0
        found = await next_records(reader, len(values))

    assert [record.value for record in found] == values
    assert found[0].headers == (("codec", codec.encode()),)


async def test_null_value_key_and_header_are_none(broker: EmbeddedBroker, topics: Topics) -> None:
    name = topics.ingress_replies.name
    other = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers})

    async with PartitionReader(broker.bootstrap_servers, [(name, 0)]) as reader:
        other.produce(name, partition=0, headers=[("empty", None)])
        assert other.flush(10) == 0
        (record,) = await next_records(reader, 1)

    assert (record.key, record.value, record.headers) == (None, None, (("empty", None),))


@pytest.mark.parametrize("place", [("nowhere", 0), (None, 4)])
async def test_start_on_a_missing_partition_raises(
    broker: EmbeddedBroker, topics: Topics, place: tuple[str | None, int]
) -> None:
    name = topics.prefix + place[0] if place[0] else topics.ingress_replies.name

    with pytest.raises(NoSuchTopicError, match=f"topic {name}, partition {place[1]}, does not exist"):
        await PartitionReader(broker.bootstrap_servers, [(name, place[1])]).start()


async def test_no_listener_raises_broker_unavailable(free_port: Callable[[], int]) -> None:
    with pytest.raises(BrokerUnavailableError, match="does not answer; is it running"):
        await PartitionReader(f"127.0.0.1:{free_port()}", [("t", 0)]).start()


@pytest.mark.parametrize("kill", [True, False])
async def test_reader_continues_after_a_broker_restart(
    tmp_path: Path, free_port: Callable[[], int], kill: bool
) -> None:
    own = EmbeddedBroker(tmp_path, free_port())
    async with contextlib.AsyncExitStack() as stack:
        await own.start()
        stack.push_async_callback(own.stop)
        await ensure_topics(own.bootstrap_servers, [Topic("t", (), DAY, 1)], 1)
        producer = await stack.enter_async_context(KafkaProducer(own.bootstrap_servers, delivery_timeout_s=30))
        reader = await stack.enter_async_context(PartitionReader(own.bootstrap_servers, [("t", 0)]))
        await producer.send(ProducerRecord("t", b"k", b"before"))
        found = await next_records(reader, 1)

        own.kill() if kill else await own.stop()
        assert await reader.read(timeout_s=0.2) == []
        await own.start()
        await producer.send(ProducerRecord("t", b"k", b"after"))
        found += await next_records(reader, 1)

    assert [record.value for record in found] == [b"before", b"after"]
