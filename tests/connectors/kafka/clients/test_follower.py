from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from connectors.kafka import KafkaProducer
from connectors.kafka.clients.follower import TopicFollower
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import Topics
from tests.eventually import eventually

pytestmark = pytest.mark.flow


async def test_follow_again_rereads_the_partition_from_the_earlier_time(broker: EmbeddedBroker, topics: Topics) -> None:
    seen: list[ConsumerRecord] = []
    follower = TopicFollower(broker.bootstrap_servers, seen.append)
    async with KafkaProducer(broker.bootstrap_servers) as producer:

        async def write(value: bytes) -> None:
            await producer.send(ProducerRecord(topics.attempts.name, b"k", value, partition=1))

        await write(b"1")
        await write(b"2")
        await follower.follow(topics.attempts.name, 1, 2**41)  # after all records
        before = [record.value for record in seen]
        await follower.follow(topics.attempts.name, 1, 0)
        caught_up = [record.value for record in seen]
        await write(b"3")
        await eventually(lambda: len(seen) > 2)
    await follower.stop()

    assert before == []
    assert caught_up == [b"1", b"2"]
    assert [record.value for record in seen] == [b"1", b"2", b"3"]


async def test_follower_reads_a_second_topic_to_its_end(broker: EmbeddedBroker, topics: Topics) -> None:
    seen: list[ConsumerRecord] = []
    follower = TopicFollower(broker.bootstrap_servers, seen.append)
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        await follower.follow(topics.attempts.name, 1, 0)
        await producer.send(ProducerRecord(topics.outcomes.name, b"k", b"end", partition=1))

        await follower.follow(topics.outcomes.name, 1, 0)
        follower.leave(topics.outcomes.name, 1)
        await producer.send(ProducerRecord(topics.outcomes.name, b"k", b"later", partition=1))
        await producer.send(ProducerRecord(topics.attempts.name, b"k", b"attempt", partition=1))
        await eventually(lambda: len(seen) > 1)
    await follower.stop()

    assert [record.value for record in seen] == [b"end", b"attempt"]


async def test_follower_fetches_many_records_at_once_after_catching_up(broker: EmbeddedBroker, topics: Topics) -> None:
    came_s: list[float] = []
    follower = TopicFollower(broker.bootstrap_servers, lambda _: came_s.append(time.monotonic()))
    await follower.follow(topics.attempts.name, 1, 0)
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        for _ in range(20):
            await producer.send(ProducerRecord(topics.attempts.name, b"k", b"v", partition=1))
            await asyncio.sleep(0.03)
        await eventually(lambda: len(came_s) == 20)
    await follower.stop()

    pauses = [later - earlier for earlier, later in itertools.pairwise(came_s)]
    assert sum(pause > 0.015 for pause in pauses) < 10
