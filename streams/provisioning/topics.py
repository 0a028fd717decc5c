"""Provisioning of Kafka: topics, and the record of the configuration under its hash."""

from __future__ import annotations

import time

from connectors import kafka
from connectors.kafka import KafkaProducer, check_topics, ensure_topics
from connectors.kafka.admin.topic_spec import Difference, Replication
from schemas.avro.codec import encode
from schemas.events.catalog import ConfigurationApplied
from schemas.kafka.headers import cloudevent_headers
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topic
from streams.config.settings import Settings


async def provision_topics(settings: Settings) -> list[str]:
    """Create missing topics and publish the configuration; return the names of the created topics.

    If an existing topic differs from the configuration, none is created.

    Raises:
        connectors.kafka.TopicMismatchError: a topic has other partitions, replicas or settings.
        connectors.kafka.BrokerUnavailableError: the bootstrap servers do not answer.

    """
    bootstrap = settings.kafka.address
    created = await ensure_topics(bootstrap, _topics(settings), _replication(settings))
    producer = KafkaProducer(bootstrap)
    await producer.start()
    try:
        await producer.send(_configuration(settings))
    finally:
        await producer.stop()
    return created


async def verify_topics(settings: Settings) -> None:
    """Check that all topics exist as configured.

    Raises:
        connectors.kafka.NoSuchTopicError: topics are missing.
        connectors.kafka.TopicMismatchError: as above.
        connectors.kafka.BrokerUnavailableError: as above.

    """
    await check_topics(settings.kafka.address, _topics(settings), _replication(settings))


async def alter_topics(settings: Settings) -> dict[str, list[Difference]]:
    """Change topics that differ from the configuration, as far as Kafka can; return the changes by topic.

    Raises:
        connectors.kafka.KafkaFaultError: Kafka refuses the change, or does not answer.

    """
    return await kafka.alter_topics(settings.kafka.address, _topics(settings), _replication(settings))


def _topics(settings: Settings) -> tuple[Topic, ...]:
    return (*settings.topics.all, *settings.topics.dead_letters)


def _replication(settings: Settings) -> Replication:
    return Replication(settings.kafka.replication_factor, settings.kafka.min_insync_replicas)


def _configuration(settings: Settings) -> ProducerRecord:
    now = int(time.time() * 1000)
    event = ConfigurationApplied(config_hash=settings.hash, configuration=settings.public_json, applied_at=now)
    headers = cloudevent_headers(event, settings.hash, "up", now, "")
    return ProducerRecord(settings.topics.config.name, settings.hash.encode(), encode(event), headers)
