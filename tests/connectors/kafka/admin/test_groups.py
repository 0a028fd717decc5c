from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka import BrokerUnavailableError, Groups, KafkaProducer, client_settings, group_assignments, lag
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ProducerRecord
from schemas.kafka.stages import STAGES
from schemas.kafka.topics import DAY, Topic, Topics
from tests.eventually import eventually

pytestmark = pytest.mark.flow


@pytest_asyncio.fixture
async def groups(broker: EmbeddedBroker) -> AsyncIterator[Groups]:
    made = Groups(broker.bootstrap_servers)
    yield made
    await made.close()


def worker(broker: EmbeddedBroker, topics: Topics, stage: str) -> AIOKafkaConsumer:
    """Return a consumer in the group of a stage, like a worker."""
    names = [topic.name for topic in topics.sources_of(stage)]
    return AIOKafkaConsumer(
        *names,
        **client_settings(broker.bootstrap_servers),
        group_id=topics.group(stage),
        session_timeout_ms=6000,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )


def places(topics: Topics, stage: str) -> list[tuple[str, int]]:
    """Return the partitions of both lanes, in order."""
    return [(topic.name, partition) for topic in topics.sources_of(stage) for partition in range(4)]


async def test_missing_lists_every_partition_without_workers(topics: Topics, groups: Groups) -> None:
    missing = await groups.missing(topics)

    assert set(missing) == set(STAGES)
    assert missing["route"] == places(topics, "route")
    assert len(missing["audit"]) == sum(topic.partitions for topic in topics.sources_of("audit"))


async def test_stage_is_complete_when_its_worker_has_all_partitions(
    broker: EmbeddedBroker, topics: Topics, groups: Groups
) -> None:
    async with worker(broker, topics, "route"):

        async def complete() -> bool:
            return (await groups.missing(topics))["route"] == []

        await eventually(complete)
        missing = await groups.missing(topics)

    assert missing["call"] == places(topics, "call")


async def test_two_workers_make_a_stage_complete(broker: EmbeddedBroker, topics: Topics, groups: Groups) -> None:
    async with worker(broker, topics, "call") as one, worker(broker, topics, "call") as other:

        async def shared() -> bool:
            await one.getmany(timeout_ms=10)
            await other.getmany(timeout_ms=10)
            return bool(one.assignment() and other.assignment()) and (await groups.missing(topics))["call"] == []

        await eventually(shared, within=20)

    assert len(one.assignment()) == len(other.assignment()) == 4


async def test_missing_covers_only_the_given_stages(topics: Topics, groups: Groups) -> None:
    assert set(await groups.missing(topics, ["reply"])) == {"reply"}


async def test_partitions_of_a_stopped_worker_are_missing(
    broker: EmbeddedBroker, topics: Topics, groups: Groups
) -> None:
    async with worker(broker, topics, "route"):
        await eventually(lambda: group_assignments(broker.bootstrap_servers, topics.group("route")))

    async def gone() -> bool:
        return len((await groups.missing(topics, ["route"]))["route"]) == 8

    await eventually(gone)


async def test_no_listener_raises_broker_unavailable(free_port: Callable[[], int]) -> None:
    groups = Groups(f"127.0.0.1:{free_port()}")

    with pytest.raises(BrokerUnavailableError, match="does not answer"):
        await groups.missing(Topics())


async def test_lag_counts_uncommitted_records(broker: EmbeddedBroker, topics: Topics) -> None:
    name, group = topics.admitted.name, topics.group("route")
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        for _ in range(5):
            await producer.send(ProducerRecord(name, b"k", b"v", partition=1))
    async with worker(broker, topics, "route") as consumer:
        await eventually(consumer.assignment)
        await consumer.commit({TopicPartition(name, 1): 3})

    found = await lag(broker.bootstrap_servers, group, [topics.admitted])

    assert found == {(name, 0): 0, (name, 1): 2, (name, 2): 0, (name, 3): 0}


async def test_lag_of_an_unknown_group_counts_all_records(broker: EmbeddedBroker, topics: Topics) -> None:
    async with KafkaProducer(broker.bootstrap_servers) as producer:
        await producer.send(ProducerRecord(topics.admitted.name, b"k", b"v", partition=2))

    found = await lag(broker.bootstrap_servers, "nobody", [topics.admitted])

    assert found[topics.admitted.name, 2] == 1
    assert sum(found.values()) == 1


async def test_lag_omits_a_missing_topic(broker: EmbeddedBroker, topics: Topics) -> None:
    nowhere = Topic(topics.prefix + "nowhere", (), DAY, 2)

    found = await lag(broker.bootstrap_servers, "nobody", [nowhere, topics.routed])

    assert {topic for topic, _ in found} == {topics.routed.name}
