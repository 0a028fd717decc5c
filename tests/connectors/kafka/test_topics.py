from __future__ import annotations

import dataclasses

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from connectors.embedded.broker import EmbeddedBroker
from connectors.kafka import KafkaFaultError, TopicMismatchError, ensure_topics
from connectors.kafka.connection import administration
from connectors.kafka.topics import topic_configs
from schemas.topics import DAY, HOUR, MAX_MESSAGE_BYTES, Topic, Topics


def topic(name: str, **changes: object) -> Topic:
    return dataclasses.replace(Topic(name, (), DAY, 2), **changes)  # type: ignore[arg-type]


async def configuration(bootstrap: str, name: str) -> dict[str, str]:
    async with administration(bootstrap) as client:
        (response,) = await client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, name)])
    return {entry[0]: entry[1] for entry in response.resources[0][4]}


@pytest.mark.flow
async def test_what_is_missing_is_created_and_told(broker: EmbeddedBroker, topics: Topics) -> None:
    old, new = topics.admitted, topic(topics.prefix + "new")

    created = await ensure_topics(broker.bootstrap_servers, [old, new], 1)

    assert created == [new.name]


@pytest.mark.flow
async def test_a_second_time_creates_nothing(broker: EmbeddedBroker, topics: Topics) -> None:
    created = await ensure_topics(broker.bootstrap_servers, topics.all, 1)

    assert created == []


@pytest.mark.flow
async def test_a_topic_is_made_as_the_map_says(broker: EmbeddedBroker, topics: Topics) -> None:
    found = await configuration(broker.bootstrap_servers, topics.requests.name)

    assert found["cleanup.policy"] == "delete"
    assert found["retention.ms"] == str(6 * HOUR)
    assert found["segment.ms"] == str(HOUR)
    assert found["max.message.bytes"] == str(MAX_MESSAGE_BYTES)


@pytest.mark.flow
async def test_the_configuration_topic_is_compacted_and_kept(broker: EmbeddedBroker, topics: Topics) -> None:
    found = await configuration(broker.bootstrap_servers, topics.config.name)

    assert found["cleanup.policy"] == "compact"
    assert found["retention.ms"] == "-1"


@pytest.mark.flow
async def test_another_partition_count_and_cleanup_are_each_one_sentence(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    counted = dataclasses.replace(topics.admitted, partitions=7)
    cleaned = dataclasses.replace(topics.routed, cleanup="compact")

    with pytest.raises(TopicMismatchError) as raised:
        await ensure_topics(broker.bootstrap_servers, [counted, cleaned], 1)

    assert str(raised.value).splitlines() == [
        f"topic {counted.name} has 4 partitions, and the configuration says 7",
        f"topic {cleaned.name} has cleanup.policy=delete, and it must be compact",
    ]


@pytest.mark.flow
async def test_more_copies_than_brokers_is_one_sentence(broker: EmbeddedBroker, topics: Topics) -> None:
    lonely = topic(topics.prefix + "copies")

    with pytest.raises(KafkaFaultError, match=f"^Kafka will not create topic {lonely.name}: .*replication factor"):
        await ensure_topics(broker.bootstrap_servers, [lonely], 3)


def test_three_copies_need_two_in_sync_and_one_needs_itself() -> None:
    assert topic_configs(topic("t"), 3)["min.insync.replicas"] == "2"
    assert topic_configs(topic("t"), 1)["min.insync.replicas"] == "1"


def test_a_compacted_topic_rolls_its_segments_as_kafka_likes() -> None:
    assert "segment.ms" not in topic_configs(topic("t", cleanup="compact", retention_ms=-1), 1)
