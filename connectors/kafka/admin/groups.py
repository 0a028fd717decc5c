"""Who reads what: whether every partition has a worker, and how far the workers are behind."""

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
    client_settings,
    open_admin_client,
    translate_errors,
)
from schemas.kafka.stages import STAGES
from schemas.kafka.topics import Topic, Topics

_NO_COORDINATOR = (GroupCoordinatorNotAvailableError, GroupLoadInProgressError, NotCoordinatorForGroupError)
"""A broker that has just started, or a coordinator that moves: for a moment the group has nobody to ask."""
_RETRY_S = 0.1

Place = tuple[str, int]
"""A topic and a partition of it."""


class Groups:
    """Answers which stages are complete, over one connection that stays open."""

    def __init__(self, bootstrap: KafkaAddress) -> None:
        self._bootstrap = bootstrap
        self._client: AIOKafkaAdminClient | None = None
        self._opening = asyncio.Lock()

    async def missing(self, topics: Topics, stages: Iterable[str] = STAGES) -> dict[str, list[Place]]:
        """For each stage, the partitions that no worker of it has; all of them while its group is rebalancing.

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
            stage: [place for place in _places(topics.sources_of(stage)) if place not in assigned[group]]
            for stage, group in groups.items()
        }

    async def close(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()


async def group_assignments(bootstrap: KafkaAddress, group: str) -> set[Place]:
    """Every partition that a member of the group has; none unless the group is stable.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    async with admin_client(bootstrap) as client, translate_errors(bootstrap):
        return (await _assignments(client, [group]))[group]


async def lag(bootstrap: KafkaAddress, group: str, topics: Iterable[Topic]) -> dict[Place, int]:
    """How many records of each partition the group has not committed; all there are, where it never committed.

    A partition that does not exist is left out.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    places = _places(topics)
    async with admin_client(bootstrap) as client, translate_errors(bootstrap):
        partitions = await _existing(client, places)
        async with asyncio.timeout(CONNECT_TIMEOUT_S):
            committed = await _committed(client, group, partitions)
        first, end = await _bounds(bootstrap, partitions)
    return {(at.topic, at.partition): end[at] - committed.get(at, first[at]) for at in partitions}


async def _committed(
    client: AIOKafkaAdminClient, group: str, partitions: list[TopicPartition]
) -> dict[TopicPartition, int]:
    while True:
        try:
            found = await client.list_consumer_group_offsets(group, partitions=partitions)
        except _NO_COORDINATOR:
            await asyncio.sleep(_RETRY_S)
        else:
            return {at: kept.offset for at, kept in found.items() if kept.offset >= 0}


async def _existing(client: AIOKafkaAdminClient, places: list[Place]) -> list[TopicPartition]:
    described = await client.describe_topics(sorted({topic for topic, _ in places}))
    found = {(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]}
    return [TopicPartition(*place) for place in places if place in found]


async def _bounds(
    bootstrap: KafkaAddress, partitions: list[TopicPartition]
) -> tuple[Mapping[TopicPartition, int], Mapping[TopicPartition, int]]:
    consumer = AIOKafkaConsumer(**client_settings(bootstrap), request_timeout_ms=int(CONNECT_TIMEOUT_S * 1000))
    try:
        await consumer.start()
        return await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    finally:
        await consumer.stop()


async def _assignments(client: AIOKafkaAdminClient, groups: Iterable[str]) -> dict[str, set[Place]]:
    """What each group holds. One question each: aiokafka 0.14.0 can't read an answer about two groups."""
    names = list(groups)
    return dict(zip(names, await asyncio.gather(*(_assigned(client, name) for name in names)), strict=True))


async def _assigned(client: AIOKafkaAdminClient, group: str) -> set[Place]:
    try:
        (response,) = await client.describe_consumer_groups([group])
    except _NO_COORDINATOR:
        return set()
    (description,) = response.to_object()["groups"]
    if description["state"] != "Stable":
        return set()
    return {place for member in description["members"] for place in _held(member)}


def _held(member: Mapping[str, Any]) -> set[Place]:
    assignment = ConsumerProtocolMemberAssignment.decode(member["member_assignment"])
    return {(at.topic, at.partition) for at in assignment.partitions()}


def _places(topics: Iterable[Topic]) -> list[Place]:
    return [(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
