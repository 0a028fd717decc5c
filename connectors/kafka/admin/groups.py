"""Consumer groups: partitions without a worker, and lag."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError

from connectors.kafka.connection import (
    CONNECT_TIMEOUT_S,
    KafkaAddress,
    admin_client,
    consumer_settings,
    open_admin_client,
    translate_errors,
)
from schemas.kafka.stages import STAGES
from schemas.kafka.topics import Topic, Topics

_NO_COORDINATOR = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
"""Errors while a broker has just started or the coordinator moves: the group has no coordinator for a moment."""
_RETRY_S = 0.1

PartitionName = tuple[str, int]
"""Topic and partition number."""


class Groups:
    """Looks up the stages' missing partitions over one connection that stays open."""

    def __init__(self, bootstrap: KafkaAddress) -> None:
        self._bootstrap = bootstrap
        self._client: AIOKafkaAdminClient | None = None
        self._opening = asyncio.Lock()

    async def missing(self, topics: Topics, stages: Iterable[str] = STAGES) -> dict[str, list[PartitionName]]:
        """Return the partitions of each stage that no worker has; all of them while its group is rebalancing.

        Raises:
            BrokerUnavailableError: Kafka does not answer within 5 s.

        """
        groups = {stage: topics.group(stage) for stage in stages}
        async with self._opening:
            if self._client is None:
                self._client = await open_admin_client(self._bootstrap)
        async with translate_errors(self._bootstrap):
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                assigned = await _assignments(self._client, groups.values())
        return {
            stage: [name for name in _partition_names(topics.sources_of(stage)) if name not in assigned[group]]
            for stage, group in groups.items()
        }

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


async def group_assignments(bootstrap: KafkaAddress, group: str) -> set[PartitionName]:
    """Return every partition that a member of the group has; none unless the group is stable.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    async with admin_client(bootstrap) as client, translate_errors(bootstrap):
        return (await _assignments(client, [group]))[group]


async def lag(bootstrap: KafkaAddress, group: str, topics: Iterable[Topic]) -> dict[PartitionName, int]:
    """Return the number of uncommitted records of each partition; all records where the group never committed.

    A partition that does not exist is omitted.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    names = _partition_names(topics)
    async with admin_client(bootstrap) as client, translate_errors(bootstrap):
        partitions = await _existing(client, names)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            committed = await _committed_offsets(client, group, partitions)
        first, end = await _bounds(bootstrap, partitions)
    return {(at.topic, at.partition): end[at] - committed.get(at, first[at]) for at in partitions}


async def _committed_offsets(
    client: AIOKafkaAdminClient, group: str, partitions: list[TopicPartition]
) -> dict[TopicPartition, int]:
    while True:
        try:
            found = await client.list_consumer_group_offsets(group, partitions=partitions)
        except _NO_COORDINATOR:
            await asyncio.sleep(_RETRY_S)
        else:
            return {at: kept.offset for at, kept in found.items() if kept.offset >= 0}


async def _existing(client: AIOKafkaAdminClient, names: list[PartitionName]) -> list[TopicPartition]:
    described = await client.describe_topics(sorted({topic for topic, _ in names}))
    found = {(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]}
    return [TopicPartition(*name) for name in names if name in found]


async def _bounds(
    bootstrap: KafkaAddress, partitions: list[TopicPartition]
) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
    consumer = AIOKafkaConsumer(**consumer_settings(bootstrap), request_timeout_ms=int(CONNECT_TIMEOUT_S * 1000))
    try:
        await consumer.start()
        return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()


async def _assignments(client: AIOKafkaAdminClient, groups: Iterable[str]) -> dict[str, set[PartitionName]]:
    """Return the partitions of each group. One request each: aiokafka 0.14.0 can't parse a response about several."""
    names = list(groups)
    return dict(zip(names, await asyncio.gather(*(_member_partitions(client, name) for name in names)), strict=True))


async def _member_partitions(client: AIOKafkaAdminClient, group: str) -> set[PartitionName]:
    try:
        (response,) = await client.describe_consumer_groups([group])
    except _NO_COORDINATOR:
        return set()
    (description,) = response.to_object()["groups"]
    if description["state"] != "Stable":
        return set()
    return {name for member in description["members"] for name in _partitions_of(member)}


def _partitions_of(member: Mapping[str, Any]) -> set[PartitionName]:
    assignment = ConsumerProtocolMemberAssignment.decode(member["member_assignment"])
    return {(at.topic, at.partition) for at in assignment.partitions()}


def _partition_names(topics: Iterable[Topic]) -> list[PartitionName]:
    return [(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
