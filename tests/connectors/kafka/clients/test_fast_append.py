from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaProducer

from connectors.kafka import PartitionReader
from connectors.kafka.clients.append_order import AppendLocks
from connectors.kafka.clients.fast_append import MAX_RECORD_BYTES, try_append
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics

pytestmark = pytest.mark.flow


@pytest_asyncio.fixture
async def producer(broker: EmbeddedBroker, topics: Topics) -> AsyncIterator[AIOKafkaProducer]:
    settings = {"bootstrap_servers": broker.bootstrap_servers, "enable_idempotence": True, "max_batch_size": 4096}
    async with AIOKafkaProducer(**settings) as running:
        assert await running.partitions_for(topics.admitted.name) == {0, 1, 2, 3}
        yield running


async def test_appended_record_is_read_unchanged(
    broker: EmbeddedBroker, topics: Topics, producer: AIOKafkaProducer
) -> None:
    headers = (("a", b"1"), ("a", b"2"), ("none", None))
    futures = [
        try_append(
            producer, AppendLocks(), ProducerRecord(topics.admitted.name, b"key", b"%d" % number, headers, partition=2)
        )
        for number in range(3)
    ]

    offsets = [(await future).offset for future in futures if future]

    async with PartitionReader(broker.bootstrap_servers, [(topics.admitted.name, 2)], begin="beginning") as reader:
        async with asyncio.timeout(10):
            found = await reader.read()
    assert offsets == [0, 1, 2]
    assert [(record.offset, record.key, record.value, record.headers) for record in found] == [
        (number, b"key", b"%d" % number, headers) for number in range(3)
    ]


async def test_append_returns_none_if_the_batch_is_full(topics: Topics, producer: AIOKafkaProducer) -> None:
    output = ProducerRecord(topics.admitted.name, b"key", b"v" * 3000, partition=1)

    first, second = try_append(producer, AppendLocks(), output), try_append(producer, AppendLocks(), output)

    assert second is None
    assert first is not None
    assert (await first).offset == 0


@pytest.mark.parametrize("change", [{"partition": None}, {"partition": 99}, {"topic": "missing"}])
async def test_append_returns_none_without_a_known_leader(
    topics: Topics, producer: AIOKafkaProducer, change: dict[str, object]
) -> None:
    told: dict[str, object] = {"topic": topics.admitted.name, "key": b"key", "value": b"value", "partition": 1}

    assert try_append(producer, AppendLocks(), ProducerRecord(**told | change)) is None  # type: ignore[arg-type]


async def test_append_returns_none_for_a_large_record(topics: Topics, producer: AIOKafkaProducer) -> None:
    assert (
        try_append(
            producer,
            AppendLocks(),
            ProducerRecord(topics.admitted.name, b"key", b"v" * (MAX_RECORD_BYTES + 1), partition=1),
        )
        is None
    )


async def test_append_returns_none_if_the_producer_is_closed(topics: Topics, producer: AIOKafkaProducer) -> None:
    await producer.stop()

    assert (
        try_append(producer, AppendLocks(), ProducerRecord(topics.admitted.name, b"key", b"value", partition=1)) is None
    )


async def test_append_returns_none_while_the_partition_is_locked(topics: Topics, producer: AIOKafkaProducer) -> None:
    lines, output = AppendLocks(), ProducerRecord(topics.admitted.name, b"key", b"value", partition=1)

    async with lines.acquire(output.topic, output.partition):
        passed = try_append(producer, lines, output)

    assert passed is None
    assert try_append(producer, lines, output) is not None
