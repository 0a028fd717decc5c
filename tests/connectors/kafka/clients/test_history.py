from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import confluent_kafka
import pytest
import pytest_asyncio
from confluent_kafka.admin import AdminClient

from connectors.kafka import BrokerUnavailableError
from connectors.kafka.clients.history import TopicHistoryReader
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import DAY, HOUR, Topics

pytestmark = pytest.mark.flow

NOW = int(time.time() * 1000)


def write(broker: EmbeddedBroker, topics: Topics, *values: tuple[bytes, int], **settings: Any) -> None:
    """Write values of the given ages in milliseconds to partition 1, in order also if some are sent again."""
    kept = {"bootstrap.servers": broker.bootstrap_servers, "enable.idempotence": True}
    producer = confluent_kafka.Producer(kept | settings)
    for value, age_ms in values:
        producer.produce(topics.attempts.name, value, b"key", partition=1, timestamp=NOW - age_ms)
    producer.flush(20)


@pytest_asyncio.fixture
async def lookback(broker: EmbeddedBroker, topics: Topics) -> AsyncIterator[TopicHistoryReader]:
    made = TopicHistoryReader(broker.bootstrap_servers, topics.attempts.name)
    yield made
    await made.stop()


async def values(
    lookback: TopicHistoryReader, since_ms: int = NOW - DAY, until_ms: int = NOW + HOUR
) -> list[bytes | None]:
    return [record.value async for records in lookback.read_backwards(1, since_ms, until_ms) for record in records]


async def test_read_backwards_returns_hours_newest_first_and_records_in_order(
    broker: EmbeddedBroker, topics: Topics, lookback: TopicHistoryReader
) -> None:
    hours = [5.5, 5.4, 3.2, 0.3, 0.2]
    write(broker, topics, *((str(age).encode(), int(age * HOUR)) for age in hours))

    found = await values(lookback, until_ms=NOW + 1)

    assert found == [b"0.3", b"0.2", b"3.2", b"5.5", b"5.4"]


async def test_read_backwards_stays_within_the_time_span(
    broker: EmbeddedBroker, topics: Topics, lookback: TopicHistoryReader
) -> None:
    write(broker, topics, (b"too old", 3 * HOUR), (b"in it", 2 * HOUR), (b"too young", HOUR))

    found = await values(lookback, NOW - 3 * HOUR + 1, NOW - HOUR)

    assert found == [b"in it"]


async def test_read_backwards_of_an_empty_partition_is_empty(lookback: TopicHistoryReader) -> None:
    assert await values(lookback) == []


async def test_read_backwards_cuts_a_batch_at_the_edge_of_an_hour(
    broker: EmbeddedBroker, topics: Topics, lookback: TopicHistoryReader
) -> None:
    ages = range(3 * 60, 0, -1)  # one batch, a record each minute
    write(broker, topics, *((str(age).encode(), age * 60_000) for age in ages), **{"linger.ms": 1000})

    found = await values(lookback, until_ms=NOW + 1)

    assert sorted(int(value or b"") for value in found) == list(range(1, 3 * 60 + 1))
    assert found[0] in {b"59", b"60"}


async def test_read_returns_one_record_by_its_offset(
    broker: EmbeddedBroker, topics: Topics, lookback: TopicHistoryReader
) -> None:
    large = b"x" * 600_000
    write(broker, topics, (large, 3), (b"small", 2), (large + b"!", 1))

    found = [await lookback.read(1, offset) for offset in (1, 2, 0, 1)]

    assert [record.value for record in found if record] == [b"small", large + b"!", large, b"small"]
    assert next((record.partition, record.offset, record.key) for record in found if record) == (1, 1, b"key")


async def test_read_of_a_deleted_record_is_none(
    broker: EmbeddedBroker, topics: Topics, lookback: TopicHistoryReader
) -> None:
    write(broker, topics, *((b"v", 1) for _ in range(3)))
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers})
    (deleted,) = admin.delete_records([confluent_kafka.TopicPartition(topics.attempts.name, 1, 2)]).values()
    deleted.result(20)

    assert await lookback.read(1, 0) is None
    assert await lookback.read(1, 2) is not None


async def test_reader_works_after_an_interrupted_read_backwards(
    broker: EmbeddedBroker, topics: Topics, lookback: TopicHistoryReader
) -> None:
    write(broker, topics, (b"old", 5 * HOUR), (b"new", HOUR))
    async with aclosing(lookback.read_backwards(1, NOW - DAY, NOW)) as batches:
        first = await anext(batches)

    again = await lookback.read(1, 0)

    assert [record.value for record in first] == [b"new"]
    assert again is not None
    assert again.value == b"old"


async def test_history_without_kafka_raises_broker_unavailable() -> None:
    lookback = TopicHistoryReader("127.0.0.1:1", "llm.attempts.v1")

    with pytest.raises(BrokerUnavailableError):
        await lookback.read(1, 0)
