from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from connectors.kafka import Backlog, BrokerUnavailableError, Producer
from connectors.kafka.admin.lag import Standing
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import Output
from schemas.kafka.topics import Topics

pytestmark = pytest.mark.flow


@pytest.fixture
async def backlog(broker: EmbeddedBroker) -> AsyncIterator[Backlog]:
    made = Backlog(broker.bootstrap_servers)
    yield made
    await made.close()


async def commit(broker: EmbeddedBroker, group: str, kept: dict[TopicPartition, OffsetAndMetadata]) -> None:
    consumer = AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id=group, enable_auto_commit=False)
    await consumer.start()
    consumer.assign(list(kept))
    await consumer.commit(kept)
    await consumer.stop()


async def test_it_tells_of_each_topic_what_its_group_has_not_finished(
    broker: EmbeddedBroker, topics: Topics, backlog: Backlog
) -> None:
    async with Producer(broker.bootstrap_servers) as producer:
        for topic in topics.read_by("call"):
            for _ in range(10):
                await producer.send(Output(topic.name, b"k", b"v", partition=1))
    group = topics.group("call")
    routed, batch = (TopicPartition(topic.name, 1) for topic in topics.read_by("call"))
    await commit(broker, group, {routed: OffsetAndMetadata(3, "4"), batch: OffsetAndMetadata(2, "")})

    found = await backlog.look({group: topics.read_by("call")})

    assert found == {routed.topic: Standing(waiting=3, finished=7), batch.topic: Standing(waiting=8, finished=2)}


async def test_where_nobody_has_committed_nothing_is_told(topics: Topics, backlog: Backlog) -> None:
    found = await backlog.look({topics.group(stage): topics.read_by(stage) for stage in ("filter", "route", "call")})

    assert set(found.values()) == {Standing(0, 0)}
    assert topics.batch.requests.name in found


async def test_without_a_broker_it_says_so(free_port: Callable[[], int]) -> None:
    backlog = Backlog(f"127.0.0.1:{free_port()}")

    with pytest.raises(BrokerUnavailableError):
        await backlog.look({"g": Topics().read_by("call")})
