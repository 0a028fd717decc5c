from __future__ import annotations

import dataclasses

import pytest

from connectors.kafka import KafkaFaultError, NoSuchTopicError, TopicMismatchError, check_topics, ensure_topics
from connectors.kafka.admin.topic_spec import TopicSpec
from connectors.kafka.admin.topics import topic_specs
from connectors.kafka.connection import admin_client
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import DAY, HOUR, MAX_MESSAGE_BYTES, Topic, Topics


def topic(name: str, **changes: object) -> Topic:
    return dataclasses.replace(Topic(name, (), DAY, 2), **changes)  # type: ignore[arg-type]


async def shape(broker: EmbeddedBroker, name: str) -> TopicSpec | None:
    async with admin_client(broker.bootstrap_servers) as client:
        return (await topic_specs(client, [name])).get(name)


@pytest.mark.flow
async def test_missing_topics_are_created_and_returned(broker: EmbeddedBroker, topics: Topics) -> None:
    old, new = topics.admitted, topic(topics.prefix + "new")

    created = await ensure_topics(broker.bootstrap_servers, [old, new], 1)

    assert created == [new.name]


@pytest.mark.flow
async def test_ensure_again_creates_nothing(broker: EmbeddedBroker, topics: Topics) -> None:
    created = await ensure_topics(broker.bootstrap_servers, topics.all, 1)

    assert created == []


@pytest.mark.flow
async def test_topic_is_created_with_its_configuration(broker: EmbeddedBroker, topics: Topics) -> None:
    found = await shape(broker, topics.requests.name)

    assert found is not None
    assert (found.partitions, found.replicas) == (4, 1)
    assert found.configs["cleanup.policy"] == "delete"
    assert found.configs["retention.ms"] == str(6 * HOUR)
    assert found.configs["segment.ms"] == str(HOUR)
    assert found.configs["max.message.bytes"] == str(MAX_MESSAGE_BYTES)
    assert found.configs["min.insync.replicas"] == "1"


@pytest.mark.flow
async def test_configuration_topic_is_compacted(broker: EmbeddedBroker, topics: Topics) -> None:
    found = await shape(broker, topics.config.name)

    assert found is not None
    assert found.configs["cleanup.policy"] == "compact"
    assert found.configs["retention.ms"] == "-1"


@pytest.mark.flow
async def test_mismatches_are_one_sentence_each_and_nothing_is_created(broker: EmbeddedBroker, topics: Topics) -> None:
    counted = dataclasses.replace(topics.admitted, partitions=7)
    cleaned = dataclasses.replace(topics.routed, cleanup="compact", retention_ms=-1)
    new = topic(topics.prefix + "refused")

    with pytest.raises(TopicMismatchError) as raised:
        await ensure_topics(broker.bootstrap_servers, [counted, cleaned, new, topics.outcomes])

    first, second = sorted(str(raised.value).splitlines())
    assert first.startswith(f"topic {counted.name}: partitions is 4 and should be 7; ")
    assert second.startswith(f"topic {cleaned.name}: cleanup.policy is delete and should be compact, retention.ms is ")
    assert await shape(broker, new.name) is None


@pytest.mark.flow
async def test_other_replication_factor_is_a_mismatch(broker: EmbeddedBroker, topics: Topics) -> None:
    with pytest.raises(TopicMismatchError, match=r"replication\.factor is 1 and should be 3, min\.insync\.replicas"):
        await ensure_topics(broker.bootstrap_servers, [topics.admitted], 3)


@pytest.mark.flow
async def test_more_replicas_than_brokers_is_an_error(broker: EmbeddedBroker, topics: Topics) -> None:
    lonely = topic(topics.prefix + "copies")

    with pytest.raises(KafkaFaultError, match=f"^Kafka refuses to create topic {lonely.name}: .*replication factor"):
        await ensure_topics(broker.bootstrap_servers, [lonely], 3)


@pytest.mark.flow
async def test_check_names_missing_topics(broker: EmbeddedBroker, topics: Topics) -> None:
    missing = topic(topics.prefix + "missing")
    await check_topics(broker.bootstrap_servers, topics.all)

    with pytest.raises(NoSuchTopicError, match=f"^no such topic: {missing.name}; run `sluice topics`"):
        await check_topics(broker.bootstrap_servers, [*topics.all, missing])

    assert await shape(broker, missing.name) is None
