"""Callers on Kafka: one that waits for each reply, and producers that do not wait."""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.bench import SIMULATED, Bench, chat_body
from benchmarks.load import Outcome

REQUESTS = "llm.requests.v1"
BATCH_REQUESTS, BATCH_ROUTED = "llm.requests.batch.v1", "llm.routed.batch.v1"
REPLIES = "llm.replies.bench"
CALL_GROUP = "llm.call"
REPLY_TIMEOUT_S = 10.0


async def one_in_flight(bench: Bench) -> None:
    """Measure one caller that sends a JSON record and waits for its reply."""
    await bench.measure("Kafka closed loop, 1 in flight", _closed_loop(bench))


async def produce(bench: Bench, body: bytes, count: int, topic: str = REQUESTS) -> None:
    """Produce the same request ``count`` times, without a reply topic."""
    async with AIOKafkaProducer(bootstrap_servers=bench.gateway.kafka, linger_ms=5) as producer:
        sent = [await producer.send(topic, body) for _ in range(count)]
        await asyncio.gather(*sent)


async def produce_steadily(bench: Bench, body: bytes, rate: int, seconds: float, topic: str) -> None:
    """Produce the same request ``rate`` times per second, without a reply topic."""
    end = time.monotonic() + seconds
    async with AIOKafkaProducer(bootstrap_servers=bench.gateway.kafka, linger_ms=5) as producer:
        while time.monotonic() < end:
            second = asyncio.create_task(asyncio.sleep(1))
            sent = [await producer.send(topic, body) for _ in range(rate)]
            await asyncio.gather(second, *sent)


async def lag(bootstrap: str, topic: str, group: str) -> int:
    """Return the consumer lag of a group on a topic, from its committed offsets."""
    async with AIOKafkaConsumer(bootstrap_servers=bootstrap) as consumer, _admin(bootstrap) as admin:
        (described,) = await admin.describe_topics([topic])
        partitions = [TopicPartition(topic, partition["partition"]) for partition in described["partitions"]]
        ends = await consumer.end_offsets(partitions)
        committed = await admin.list_consumer_group_offsets(group)
    return sum(end - max(0, committed[part].offset if part in committed else 0) for part, end in ends.items())


async def _closed_loop(bench: Bench) -> Outcome:
    await _create_topic(bench.gateway.kafka)
    consumer = AIOKafkaConsumer(bootstrap_servers=bench.gateway.kafka, fetch_max_wait_ms=100)
    async with AIOKafkaProducer(bootstrap_servers=bench.gateway.kafka) as producer, consumer:
        consumer.assign([TopicPartition(REPLIES, 0)])
        await consumer.seek_to_end()
        outcome, started = Outcome(), time.perf_counter()
        while time.perf_counter() < started + bench.options.seconds:
            sent = time.perf_counter()
            try:
                await asyncio.wait_for(_request(producer, consumer), REPLY_TIMEOUT_S)
                outcome.latencies_ms.append((time.perf_counter() - sent) * 1000)
            except TimeoutError:
                outcome.errors["no reply in time"] += 1
        outcome.seconds = time.perf_counter() - started
        return outcome


async def _request(producer: AIOKafkaProducer, consumer: AIOKafkaConsumer) -> None:
    correlation = uuid.uuid4().bytes
    headers = [("kafka_replyTopic", REPLIES.encode()), ("kafka_correlationId", correlation)]
    await producer.send_and_wait(REQUESTS, chat_body(SIMULATED), headers=headers)
    while dict((await consumer.getone()).headers).get("kafka_correlationId") != correlation:
        pass


async def _create_topic(bootstrap: str) -> None:
    async with _admin(bootstrap) as admin:
        if REPLIES not in await admin.list_topics():
            await admin.create_topics([NewTopic(REPLIES, 1, 1)])


async def count_members(bootstrap: str, group: str) -> int:
    """Return the number of members of a group; 0 during a rebalance."""
    async with _admin(bootstrap) as admin:
        (response,) = await admin.describe_consumer_groups([group])
    (found,) = response.to_object()["groups"]
    return len(found["members"]) if found["state"] == "Stable" else 0


@contextlib.asynccontextmanager
async def _admin(bootstrap: str) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()
