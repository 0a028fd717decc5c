"""What must be there before a stage starts: the topics, and the configuration under its hash."""

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
    """Make the topics that are missing, check those that are there, and say which configuration is in force.

    Returns the names of the topics made. Over a topic that is not as configured, nothing is made.

    Raises:
        connectors.kafka.TopicMismatchError: a topic is there with other partitions, copies or configuration.
        connectors.kafka.BrokerUnavailableError: nobody answers at the bootstrap servers.

    """
    bootstrap = settings.kafka.address
    made = await ensure_topics(bootstrap, _topics(settings), _replication(settings))
    producer = KafkaProducer(bootstrap)
    await producer.start()
    try:
        await producer.send(_configuration(settings))
    finally:
        await producer.stop()
    return made


async def verify_topics(settings: Settings) -> None:
    """See that all topics are there as configured, before anything runs over them.

    Raises:
        connectors.kafka.NoSuchTopicError: some are missing.
        connectors.kafka.TopicMismatchError: as above.
        connectors.kafka.BrokerUnavailableError: as above.

    """
    await check_topics(settings.kafka.address, _topics(settings), _replication(settings))


async def alter_topics(settings: Settings) -> dict[str, list[Difference]]:
    """Change what can be changed of topics that are not as configured; what was changed, by topic.

    Raises:
        connectors.kafka.KafkaFaultError: Kafka will not, or does not answer.

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
