from __future__ import annotations

import json

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka import BrokerUnavailableError, NoSuchTopicError, TopicMismatchError
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.avro.codec import decode
from schemas.events.catalog import ConfigurationApplied
from schemas.kafka.headers import last_value
from streams.config.settings import Settings
from streams.provisioning.topics import alter_topics, provision_topics, verify_topics

SECRET = "sk-very-secret"


def settings(bootstrap: str, prefix: str = "p.", partitions: int = 2, **more: object) -> Settings:
    kafka = {"bootstrap_servers": bootstrap, "topic_prefix": prefix, "partitions": partitions, **more}
    own = {"kind": "openai", "api_key": SECRET}
    return Settings.model_validate({"kafka": kafka, "providers": {"own": own}, "tenants": {"acme": {}}})


@pytest.mark.flow
async def test_provisioning_creates_topics_once_and_publishes_the_configuration_without_secrets(
    broker: EmbeddedBroker,
) -> None:
    configured = settings(broker.bootstrap_servers)

    made = await provision_topics(configured)
    again = await provision_topics(configured)

    assert {"p.requests.v1", "p.requests.acme.v1", "p.outcomes.v1-dlt"} <= set(made)
    assert again == []
    async with AIOKafkaConsumer(bootstrap_servers=broker.bootstrap_servers, group_id=None) as consumer:
        partitions = configured.topics.config.partitions
        consumer.assign([TopicPartition("p.config.v1", number) for number in range(partitions)])
        await consumer.seek_to_beginning()
        record = await consumer.getone()
    event = decode(record.value)
    assert isinstance(event, ConfigurationApplied)
    assert record.key == configured.hash.encode() == event.config_hash.encode()
    assert SECRET not in event.configuration
    assert json.loads(event.configuration)["providers"]["own"]["kind"] == "openai"
    assert last_value(tuple(record.headers), "ce_type") is not None


@pytest.mark.flow
async def test_topic_with_other_partitions_is_an_error_and_unchanged(broker: EmbeddedBroker) -> None:
    await provision_topics(settings(broker.bootstrap_servers, "q.", partitions=2))

    with pytest.raises(TopicMismatchError, match=r"q\.requests\.v1: partitions is 2 and should be 3; "):
        await provision_topics(settings(broker.bootstrap_servers, "q.", partitions=3))


@pytest.mark.flow
async def test_verify_fails_for_missing_and_different_topics(broker: EmbeddedBroker) -> None:
    configured = settings(broker.bootstrap_servers, "r.")
    with pytest.raises(NoSuchTopicError, match=r"no such topic: r\.requests\.v1, .*; run `sluice topics`"):
        await verify_topics(configured)

    await provision_topics(configured)
    await verify_topics(configured)

    with pytest.raises(TopicMismatchError, match=r"r\.outcomes\.v1: retention\.ms is .* \(336 h\)"):
        await verify_topics(settings(broker.bootstrap_servers, "r.", retention_hours={"outcomes": 1}))


@pytest.mark.flow
async def test_alter_changes_the_retention(broker: EmbeddedBroker) -> None:
    await provision_topics(settings(broker.bootstrap_servers, "s."))
    longer = settings(broker.bootstrap_servers, "s.", retention_hours={"requests": 24, "dead_letters": 24})

    altered = await alter_topics(longer)

    await verify_topics(longer)
    assert {"s.requests.v1", "s.requests.acme.v1", "s.outcomes.v1-dlt"} <= altered.keys()
    assert "s.outcomes.v1" not in altered


async def test_unavailable_kafka_is_one_sentence() -> None:
    with pytest.raises(BrokerUnavailableError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        await provision_topics(settings("127.0.0.1:1"))
