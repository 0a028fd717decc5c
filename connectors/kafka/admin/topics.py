"""Creation of missing topics, and the check of existing ones against their specification."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from connectors.kafka.admin.topic_spec import Replication, TopicSpec, describe_differences, desired_spec, differences
from connectors.kafka.connection import KafkaAddress, admin_client, translate_errors
from connectors.kafka.errors import BrokerUnavailableError, KafkaFaultError, NoSuchTopicError, TopicMismatchError
from schemas.kafka.topics import Topic

_ALREADY_EXISTS = 36
_LEADER_TIMEOUT_S = 10.0
_POLL_S = 0.05


async def ensure_topics(
    bootstrap: KafkaAddress, topics: Iterable[Topic], replication: Replication | int = 1
) -> list[str]:
    """Create missing topics; return the names of those created, once all partitions have leaders.

    Existing topics are not changed. If one of them differs from its specification, no topic is created.

    Raises:
        TopicMismatchError: some exist with other partitions, replicas or configuration.
        BrokerUnavailableError: Kafka does not answer.
        KafkaFaultError: Kafka refuses to create one, for example because there are too few brokers.

    """
    right = _topic_specs(topics, replication)
    async with translate_errors(bootstrap), admin_client(bootstrap) as client:
        existing = await topic_specs(client, right)
        _refuse(existing, right)
        created = await _create(client, {name: right[name] for name in right if name not in existing})
        await wait_for_leaders(client, right)
    return created


async def check_topics(bootstrap: KafkaAddress, topics: Iterable[Topic], replication: Replication | int = 1) -> None:
    """Check that all topics exist as specified; change nothing.

    Raises:
        NoSuchTopicError: some do not exist.
        TopicMismatchError: some exist with other partitions, replicas or configuration.
        BrokerUnavailableError: Kafka does not answer.

    """
    right = _topic_specs(topics, replication)
    async with translate_errors(bootstrap), admin_client(bootstrap) as client:
        existing = await topic_specs(client, right)
    _refuse(existing, right)
    if missing := [name for name in right if name not in existing]:
        raise NoSuchTopicError(f"no such topic: {', '.join(missing)}; run `sluice topics` to create it")


async def topic_specs(client: AIOKafkaAdminClient, names: Collection[str]) -> dict[str, TopicSpec]:
    """Return the specification of those topics that exist.

    Raises:
        KafkaFaultError: Kafka refuses to describe a topic.

    """
    parts = await _partitions(client, names)
    configs = {name: {key: value for key, value, *_ in entries} for name, entries in (await entries_of(client, parts))}
    return {
        name: TopicSpec(len(found), min(len(part["replicas"]) for part in found), configs[name])
        for name, found in parts.items()
        if name in configs
    }


async def entries_of(client: AIOKafkaAdminClient, names: Collection[str]) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """Return the configuration of topics as in the protocol: name, value, read-only, source, and more."""
    if not names:
        return []
    found = []
    resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
    for response in await client.describe_configs(resources):
        for code, message, _kind, name, entries in response.resources:
            if code:
                reason = message or f"error {code}"
                raise KafkaFaultError(f"Kafka refuses to describe the configuration of topic {name}: {reason}")
            found.append((name, entries))
    return found


async def wait_for_leaders(client: AIOKafkaAdminClient, right: Mapping[str, TopicSpec]) -> None:
    """Wait until clients can write: metadata reaches the brokers a moment after the controller."""
    deadline = time.monotonic() + _LEADER_TIMEOUT_S
    while unled := right.keys() - await _has_leaders(client, right):
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(f"topic {min(unled)} has a partition without a leader; are all brokers up?")
        await asyncio.sleep(_POLL_S)


def _topic_specs(topics: Iterable[Topic], replication: Replication | int) -> dict[str, TopicSpec]:
    wanted = Replication(replication) if isinstance(replication, int) else replication
    return {topic.name: desired_spec(topic, wanted) for topic in topics}


def _refuse(existing: Mapping[str, TopicSpec], right: Mapping[str, TopicSpec]) -> None:
    found = {name: differences(shape, right[name]) for name, shape in existing.items()}
    if faults := [describe_differences(name, differing) for name, differing in found.items() if differing]:
        raise TopicMismatchError("\n".join(faults))


async def _partitions(client: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Return the partitions of those topics that exist."""
    described = await client.describe_topics(list(names))
    return {topic["topic"]: topic["partitions"] for topic in described if topic["error_code"] == 0}


async def _create(client: AIOKafkaAdminClient, missing: Mapping[str, TopicSpec]) -> list[str]:
    if not missing:
        return []
    new = [NewTopic(name, s.partitions, s.replicas, topic_configs=dict(s.configs)) for name, s in missing.items()]
    response = await client.create_topics(new)
    for name, code, message, *_ in response.topic_errors:
        if code not in (0, _ALREADY_EXISTS):  # another process may be creating the same topics
            raise KafkaFaultError(f"Kafka refuses to create topic {name}: {message or f'error {code}'}")
    return [name for name, code, *_ in response.topic_errors if code == 0]


async def _has_leaders(client: AIOKafkaAdminClient, right: Mapping[str, TopicSpec]) -> set[str]:
    found = await _partitions(client, right)
    return {
        name
        for name, parts in found.items()
        if len(parts) >= right[name].partitions and all(part["leader"] >= 0 for part in parts)
    }
