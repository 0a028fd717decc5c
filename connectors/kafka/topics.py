"""Make the topics that are missing, and see that those that exist are what they have to be."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from connectors.kafka.connection import Bootstrap, administration, explained
from connectors.kafka.errors import BrokerUnavailableError, KafkaFaultError, TopicMismatchError
from schemas.topics import HOUR, MAX_MESSAGE_BYTES, Topic

_ALREADY_EXISTS = 36
_SETTLE_S = 10.0
_POLL_S = 0.05


async def ensure_topics(bootstrap: Bootstrap, topics: Iterable[Topic], replication_factor: int) -> list[str]:
    """Create what is missing and check the rest; return the names of those created, once all have their leaders.

    Nothing of a topic that exists is changed.

    Raises:
        TopicMismatchError: some exist with another partition count or cleanup policy.
        BrokerUnavailableError: Kafka does not answer.
        KafkaFaultError: Kafka will not create one, for example for want of brokers.

    """
    wanted = {topic.name: topic for topic in topics}
    async with explained(bootstrap), administration(bootstrap) as client:
        existing = await _partitions(client, wanted)
        missing = [topic for name, topic in wanted.items() if name not in existing]
        created = await _create(client, missing, replication_factor) if missing else []
        await _until_led(client, wanted)
        await _check(client, wanted)
    return created


def topic_configs(topic: Topic, replication_factor: int) -> dict[str, str]:
    """The configuration that a topic is created with."""
    configs = {
        "cleanup.policy": topic.cleanup,
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "min.insync.replicas": "2" if replication_factor >= 3 else "1",  # noqa: PLR2004 - one may be down
    }
    if topic.cleanup == "delete":
        # Kafka deletes whole segments, and a quiet topic would fill its first for a week: personal data must go earlier
        configs["segment.ms"] = str(max(topic.retention_ms // 6, HOUR // 6))
    return configs


async def _partitions(client: AIOKafkaAdminClient, wanted: dict[str, Topic]) -> dict[str, list[dict[str, Any]]]:
    """The partitions of those topics that exist."""
    described = await client.describe_topics(list(wanted))
    return {topic["topic"]: topic["partitions"] for topic in described if topic["error_code"] == 0}


async def _create(client: AIOKafkaAdminClient, topics: list[Topic], replication_factor: int) -> list[str]:
    def new(topic: Topic) -> NewTopic:
        configs = topic_configs(topic, replication_factor)
        return NewTopic(topic.name, topic.partitions, replication_factor, topic_configs=configs)

    response = await client.create_topics([new(topic) for topic in topics])
    for name, code, message, *_ in response.topic_errors:
        if code not in (0, _ALREADY_EXISTS):  # another process may be making the same ones
            raise KafkaFaultError(f"Kafka will not create topic {name}: {message or f'error {code}'}")
    return [name for name, code, *_ in response.topic_errors if code == 0]


async def _until_led(client: AIOKafkaAdminClient, wanted: dict[str, Topic]) -> None:
    """Wait until clients can write: metadata reaches the brokers a moment after the controller has decided."""
    deadline = time.monotonic() + _SETTLE_S
    while unled := wanted.keys() - await _led(client, wanted):
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(f"topic {min(unled)} has a partition without a leader; are all brokers up?")
        await asyncio.sleep(_POLL_S)


async def _led(client: AIOKafkaAdminClient, wanted: dict[str, Topic]) -> set[str]:
    found = await _partitions(client, wanted)
    return {name for name, parts in found.items() if parts and all(part["leader"] >= 0 for part in parts)}


async def _check(client: AIOKafkaAdminClient, wanted: dict[str, Topic]) -> None:
    counts = {name: len(parts) for name, parts in (await _partitions(client, wanted)).items()}
    cleanups = await _cleanups(client, wanted)
    faults = []
    for name, topic in wanted.items():
        if counts[name] != topic.partitions:
            faults.append(f"topic {name} has {counts[name]} partitions, and the configuration says {topic.partitions}")
        if cleanups[name] != topic.cleanup:
            faults.append(f"topic {name} has cleanup.policy={cleanups[name]}, and it must be {topic.cleanup}")
    if faults:
        raise TopicMismatchError("\n".join(faults))


async def _cleanups(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, str]:
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, {"cleanup.policy": ""}) for name in names]
    found: dict[str, str] = {}
    for response in await client.describe_configs(resources):
        for _code, _message, _kind, name, entries in response.resources:
            found[name] = next((entry[1] for entry in entries if entry[0] == "cleanup.policy"), "")
    return found
