"""What must be there before a stage starts: the topics, and the configuration under its hash."""

from __future__ import annotations

import time

from connectors.kafka import Producer, ensure_topics
from schemas.codec import encode
from schemas.events import ConfigurationApplied
from schemas.headers import cloudevent
from schemas.records import Output
from streams.settings import Settings


async def prepare_log(settings: Settings) -> list[str]:
    """Make the topics that are missing, check those that are there, and say which configuration is in force.

    Returns the names of the topics made.

    Raises:
        connectors.kafka.TopicMismatchError: a topic is there with other partitions than configured.
        connectors.kafka.BrokerUnavailableError: nobody answers at the bootstrap servers.

    """
    topics = settings.topics
    bootstrap = settings.kafka.cluster
    made = await ensure_topics(bootstrap, (*topics.all, *topics.dead_letters), settings.kafka.replication_factor)
    producer = Producer(bootstrap)
    await producer.start()
    try:
        await producer.send(_configuration(settings))
    finally:
        await producer.stop()
    return made


def _configuration(settings: Settings) -> Output:
    now = int(time.time() * 1000)
    event = ConfigurationApplied(config_hash=settings.hash, configuration=settings.public, applied_at=now)
    headers = cloudevent(event, settings.hash, "up", now, "")
    return Output(settings.topics.config.name, settings.hash.encode(), encode(event), headers)
