"""Changes of existing topics to their configuration, as far as Kafka can apply them in place."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from aiokafka.admin import AIOKafkaAdminClient, NewPartitions
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from connectors.kafka.admin.topic_spec import Difference, Replication, TopicSpec, desired_spec, differences
from connectors.kafka.admin.topics import entries_of, topic_specs, wait_for_leaders
from connectors.kafka.connection import KafkaAddress, admin_client, translate_errors
from connectors.kafka.errors import KafkaFaultError
from schemas.kafka.topics import Topic

_OF_THE_TOPIC = 1
"""Kafka's number of the source of a configuration that was set on the topic itself."""

_VISIBLE_TIMEOUT_S = 10.0
_POLL_S = 0.05

Changes = Mapping[str, list[Difference]]


async def alter_topics(
    bootstrap: KafkaAddress, topics: Iterable[Topic], replication: Replication
) -> dict[str, list[Difference]]:
    """Set the configuration of existing topics, and add missing partitions; return the changes by topic.

    Replicas stay as they are, and partitions are never removed: ``ensure_topics`` reports these. A shorter retention
    deletes older records at once. After new partitions, records with a key may go to another partition than before.

    Raises:
        BrokerUnavailableError: Kafka does not answer.
        KafkaFaultError: Kafka refuses a change.

    """
    right = {topic.name: desired_spec(topic, replication) for topic in topics}
    async with translate_errors(bootstrap), admin_client(bootstrap) as client:
        changes = await _alterable(client, right)
        await _configure(client, changes, right)
        await _extend(client, changes, right)
        await wait_for_leaders(client, {name: right[name] for name in _with_more_partitions(changes)})
        await _wait_until_visible(client, {name: right[name] for name in changes})
    return changes


async def _alterable(client: AIOKafkaAdminClient, right: Mapping[str, TopicSpec]) -> dict[str, list[Difference]]:
    found = {name: differences(shape, right[name]) for name, shape in (await topic_specs(client, right)).items()}
    changes = {name: [each for each in differing if each.alterable] for name, differing in found.items()}
    return {name: differing for name, differing in changes.items() if differing}


async def _wait_until_visible(client: AIOKafkaAdminClient, right: Mapping[str, TopicSpec]) -> None:
    """Wait until the brokers report the change, which reaches them a moment after the controller."""
    deadline = time.monotonic() + _VISIBLE_TIMEOUT_S
    while right and (unseen := await _alterable(client, right)):
        if time.monotonic() > deadline:
            raise KafkaFaultError(f"Kafka accepted the change of topic {min(unseen)} but does not report it; try again")
        await asyncio.sleep(_POLL_S)


async def _configure(client: AIOKafkaAdminClient, changes: Changes, right: Mapping[str, TopicSpec]) -> None:
    """Set what differs. Such a request replaces all configuration of a topic, so it repeats what else was set."""
    changed = {
        name: {each.setting: each.wanted for each in differing if each.setting != "partitions"}
        for name, differing in changes.items()
    }
    changed = {name: configs for name, configs in changed.items() if configs}
    resources = []
    for name, entries in await entries_of(client, changed):
        kept = {key: value for key, value, _, source, *_ in entries if source == _OF_THE_TOPIC}
        configs = kept | changed[name]
        if "retention.ms" in changed[name]:
            configs |= {key: value for key, value in right[name].configs.items() if key == "segment.ms"}
        resources.append(ConfigResource(ConfigResourceType.TOPIC, name, configs))
    if not resources:
        return
    for response in await client.alter_configs(resources):
        for code, message, _kind, name in response.resources:
            if code:
                raise KafkaFaultError(f"Kafka refuses to change topic {name}: {message or f'error {code}'}")


async def _extend(client: AIOKafkaAdminClient, changes: Changes, right: Mapping[str, TopicSpec]) -> None:
    if short := _with_more_partitions(changes):
        await client.create_partitions({name: NewPartitions(right[name].partitions) for name in short})


def _with_more_partitions(changes: Changes) -> set[str]:
    return {name for name, differing in changes.items() if any(each.setting == "partitions" for each in differing)}
