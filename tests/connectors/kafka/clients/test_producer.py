from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import confluent_kafka
import pytest
import pytest_asyncio

from connectors.kafka import (
    BrokerUnavailableError,
    KafkaProducer,
    NoSuchTopicError,
    PartitionReader,
    RecordRefusedError,
    ensure_topics,
)
from connectors.kafka.clients.producer import MAX_RECORD_BYTES
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import DAY, Topic, Topics

pytestmark = pytest.mark.flow


@pytest_asyncio.fixture
async def producer(broker: EmbeddedBroker) -> AsyncIterator[KafkaProducer]:
    async with KafkaProducer(broker.bootstrap_servers) as running:
        yield running


async def everything(bootstrap: str, topic: Topic, count: int) -> list[ConsumerRecord]:
    places = [(topic.name, partition) for partition in range(topic.partitions)]
    async with PartitionReader(bootstrap, places, begin="beginning") as reader, asyncio.timeout(10):
        found: list[ConsumerRecord] = []
        while len(found) < count:
            found += await reader.read()
    return found


async def test_sent_record_is_read_unchanged(broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer) -> None:
    headers = (("a", b"1"), ("a", b"2"), ("none", None))

    await producer.send(ProducerRecord(topics.admitted.name, b"key", b"\x00value", headers, partition=2))

    (record,) = await everything(broker.bootstrap_servers, topics.admitted, 1)
    assert (record.partition, record.key, record.value, record.headers) == (2, b"key", b"\x00value", headers)


async def test_key_selects_the_same_partition_as_librdkafka(
    broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer
) -> None:
    keys = [b"key-%d" % number for number in range(30)]
    other = confluent_kafka.Producer({"bootstrap.servers": broker.bootstrap_servers, "partitioner": "murmur2_random"})

    for key in keys:
        await producer.send(ProducerRecord(topics.admitted.name, key, b"ours"))
        other.produce(topics.admitted.name, key=key, value=b"theirs")
    assert other.flush(10) == 0

    found = await everything(broker.bootstrap_servers, topics.admitted, 2 * len(keys))
    ours = {record.key: record.partition for record in found if record.value == b"ours"}
    theirs = {record.key: record.partition for record in found if record.value == b"theirs"}
    assert ours == theirs
    assert len(set(ours.values())) == 4


async def test_concurrent_sends_all_arrive(broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer) -> None:
    values = {b"%d" % number for number in range(500)}

    await asyncio.gather(*(producer.send(ProducerRecord(topics.admitted.name, value, value)) for value in values))

    found = await everything(broker.bootstrap_servers, topics.admitted, len(values))
    assert {record.value for record in found} == values
    assert len(found) == len(values)


async def test_largest_incompressible_record_is_accepted(
    broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer
) -> None:
    value = os.urandom(MAX_RECORD_BYTES - 1024)

    await producer.send(ProducerRecord(topics.admitted.name, b"k", value))

    (record,) = await everything(broker.bootstrap_servers, topics.admitted, 1)
    assert record.value == value


async def test_larger_record_is_refused_and_the_next_is_accepted(topics: Topics, producer: KafkaProducer) -> None:
    with pytest.raises(RecordRefusedError, match="MessageSizeTooLargeError"):
        await producer.send(ProducerRecord(topics.admitted.name, b"k", bytes(MAX_RECORD_BYTES + 1)))

    await producer.send(ProducerRecord(topics.admitted.name, b"k", b"v"))


async def test_record_refused_by_the_broker_does_not_break_the_next(
    broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer
) -> None:
    await producer.send(ProducerRecord(topics.config.name, b"k", b"first"))

    with pytest.raises(RecordRefusedError, match=topics.config.name):  # compacted: it needs a key
        await producer.send(ProducerRecord(topics.config.name, None, b"no key"))
    await producer.send(ProducerRecord(topics.config.name, b"k", b"second"))

    found = await everything(broker.bootstrap_servers, topics.config, 2)
    assert [record.value for record in found] == [b"first", b"second"]


@pytest.mark.parametrize("partition", [None, 0])
async def test_missing_topic_raises_at_once(topics: Topics, producer: KafkaProducer, partition: int | None) -> None:
    began = time.monotonic()

    with pytest.raises(NoSuchTopicError, match="nowhere"):
        await producer.send(ProducerRecord(topics.prefix + "nowhere", b"k", b"v", partition=partition))

    assert time.monotonic() - began < 5  # far below the delivery timeout, also on a busy machine


async def test_missing_partition_raises_at_once(topics: Topics, producer: KafkaProducer) -> None:
    began = time.monotonic()

    with pytest.raises(NoSuchTopicError, match="partition 4"):
        await producer.send(ProducerRecord(topics.admitted.name, b"k", b"v", partition=4))

    assert time.monotonic() - began < 5  # far below the delivery timeout, also on a busy machine


async def test_missing_topics_cause_one_metadata_request_a_second(
    topics: Topics, producer: KafkaProducer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    client = producer._running().client
    ask = client.force_metadata_update

    def counting() -> object:
        nonlocal asked
        asked += 1
        return ask()

    monkeypatch.setattr(client, "force_metadata_update", counting)
    missing = ProducerRecord(topics.prefix + "nowhere", b"k", b"v")

    for _ in range(50):
        with pytest.raises(NoSuchTopicError):
            await producer.send(missing)
        await producer.send(ProducerRecord(topics.admitted.name, b"k", b"v"))

    assert 1 <= asked <= 5


async def test_topic_created_later_is_found(broker: EmbeddedBroker, topics: Topics, producer: KafkaProducer) -> None:
    late = Topic(topics.prefix + "late", (), DAY, 1)
    await ensure_topics(broker.bootstrap_servers, [late], 1)

    await producer.send(ProducerRecord(late.name, b"k", b"v"))

    assert len(await everything(broker.bootstrap_servers, late, 1)) == 1


async def test_start_without_a_listener_raises_at_once(free_port: Callable[[], int]) -> None:
    bootstrap = f"127.0.0.1:{free_port()}"
    began = time.monotonic()

    with pytest.raises(BrokerUnavailableError, match=f"^Kafka at {bootstrap} does not answer; is it running"):
        await KafkaProducer(bootstrap).start()

    assert time.monotonic() - began < 6


async def test_start_against_a_listener_other_than_kafka_times_out() -> None:
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    bootstrap = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    began = time.monotonic()

    with pytest.raises(BrokerUnavailableError, match="does not answer"):
        await KafkaProducer(bootstrap).start()

    server.close()
    assert time.monotonic() - began < 7


async def test_killed_broker_loses_and_repeats_no_record(tmp_path: Path, free_port: Callable[[], int]) -> None:
    own = EmbeddedBroker(tmp_path, free_port())
    await own.start()
    topic = Topic("t", (), DAY, 1)
    await ensure_topics(own.bootstrap_servers, [topic], 1)
    producer = KafkaProducer(own.bootstrap_servers, delivery_timeout_s=30)
    await producer.start()
    await producer.send(ProducerRecord("t", b"k", b"before"))

    own.kill()
    sending = [asyncio.create_task(producer.send(ProducerRecord("t", b"k", b"%d" % number))) for number in range(100)]
    await own.start()
    await asyncio.gather(*sending)
    await producer.send(ProducerRecord("t", b"k", b"after"))

    found = await everything(own.bootstrap_servers, topic, 102)
    assert [record.value for record in found] == [b"before", *(b"%d" % number for number in range(100)), b"after"]
    await producer.stop()
    await own.stop()


async def test_send_and_stop_end_without_a_broker(tmp_path: Path, free_port: Callable[[], int]) -> None:
    own = EmbeddedBroker(tmp_path, free_port())
    await own.start()
    await ensure_topics(own.bootstrap_servers, [Topic("t", (), DAY, 1)], 1)
    producer = KafkaProducer(own.bootstrap_servers, delivery_timeout_s=1)
    await producer.start()
    await producer.send(ProducerRecord("t", b"k", b"v"))
    own.kill()

    with pytest.raises(BrokerUnavailableError, match="did not acknowledge a record within 1 s"):
        await producer.send(ProducerRecord("t", b"k", b"v"))

    async with asyncio.timeout(5):
        await producer.stop(timeout_s=0.5)
