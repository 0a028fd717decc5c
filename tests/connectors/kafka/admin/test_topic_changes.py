from __future__ import annotations

import dataclasses

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from connectors.kafka import TopicMismatchError, alter_topics, ensure_topics
from connectors.kafka.admin.topic_spec import Replication, TopicSpec
from connectors.kafka.admin.topics import topic_specs
from connectors.kafka.connection import admin_client
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import DAY, HOUR, Topic, Topics
from tests.eventually import eventually

pytestmark = pytest.mark.flow

ONE = Replication()


async def shape(broker: EmbeddedBroker, topic: Topic) -> TopicSpec:
    async with admin_client(broker.bootstrap_servers) as client:
        return (await topic_specs(client, [topic.name]))[topic.name]


async def test_alter_sets_configuration_and_adds_partitions(broker: EmbeddedBroker, topics: Topics) -> None:
    right = dataclasses.replace(topics.admitted, partitions=6, retention_ms=12 * HOUR)

    changed = await alter_topics(broker.bootstrap_servers, [right, topics.routed], ONE)

    assert {name: [each.setting for each in those] for name, those in changed.items()} == {
        right.name: ["partitions", "retention.ms"]
    }
    found = await shape(broker, right)
    assert found.partitions == 6
    assert found.configs["retention.ms"] == str(12 * HOUR)
    assert found.configs["segment.ms"] == str(2 * HOUR)
    assert await ensure_topics(broker.bootstrap_servers, [right, topics.routed]) == []


async def test_alter_keeps_other_configuration_of_a_topic(broker: EmbeddedBroker, topics: Topics) -> None:
    own = {"retention.ms": str(DAY), "compression.type": "zstd"}
    async with admin_client(broker.bootstrap_servers) as client:
        await client.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topics.health.name, own)])

    async def set_on_it() -> bool:
        return (await shape(broker, topics.health)).configs["compression.type"] == "zstd"

    await eventually(set_on_it)

    await alter_topics(broker.bootstrap_servers, [topics.health], ONE)

    configs = (await shape(broker, topics.health)).configs
    assert configs["compression.type"] == "zstd"
    assert configs["retention.ms"] == str(topics.health.retention_ms)


async def test_alter_keeps_extra_replicas_and_partitions_which_ensure_reports(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    fewer = dataclasses.replace(topics.feedback, partitions=1)

    changed = await alter_topics(broker.bootstrap_servers, [fewer], Replication(3, 1))

    assert changed == {}
    with pytest.raises(TopicMismatchError, match=r"partitions is 4 and should be 1, replication\.factor is 1"):
        await ensure_topics(broker.bootstrap_servers, [fewer], Replication(3, 1))
