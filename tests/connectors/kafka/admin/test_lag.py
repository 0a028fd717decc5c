from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from connectors.kafka import BacklogReader, BrokerUnavailableError, KafkaProducer
from connectors.kafka.admin.lag import TopicBacklog
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics

pytestmark = pytest.mark.flow


@pytest.fixture
async def backlog(broker: EmbeddedBroker) -> AsyncIterator[BacklogReader]:
    made = BacklogReader(broker.bootstrap_servers)
    yield made
    await made.close()


async def commit(broker: EmbeddedBroker, group: str, kept: dict[TopicPartition, OffsetAndMetadata]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign(list(kept))
    await consumer.commit(kept)
    await consumer.stop()


async def test_backlog_counts_unfinished_records_of_each_topic(
    broker: EmbeddedBroker, topics: Topics, backlog: BacklogReader
) -> None:
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        for topic in topics.sources_of("call"):
            for _ in range(10):
                await producer.send(ProducerRecord(topic.name, b"k", b"v", partition=1))
    group = topics.group("call")
    routed, batch = (TopicPartition(topic.name, 1) for topic in topics.sources_of("call"))
    await commit(broker, group, {routed: OffsetAndMetadata(3, "4"), batch: OffsetAndMetadata(2, "")})

    found = await backlog.measure({group: topics.sources_of("call")})

    assert found == {
        routed.topic: TopicBacklog(waiting=3, finished=7),
        batch.topic: TopicBacklog(waiting=8, finished=2),
    }


async def test_backlog_without_commits_is_zero(topics: Topics, backlog: BacklogReader) -> None:
    found = await backlog.measure(
        {topics.group(stage): topics.sources_of(stage) for stage in ("filter", "route", "call")}
    )

    assert set(found.values()) == {TopicBacklog(0, 0)}
    assert topics.batch.requests.name in found


async def test_backlog_without_a_broker_raises(free_port: Callable[[], int]) -> None:
    backlog = BacklogReader(f"127.0.0.1:{free_port()}")

    with pytest.raises(BrokerUnavailableError):
        await backlog.measure({"g": Topics().sources_of("call")})
