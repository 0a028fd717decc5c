"""How much of what is on the log is not done yet, looked up again and again over connections that stay open."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from connectors.kafka.connection import (
    CONNECT_TIMEOUT_S,
    KafkaAddress,
    client_settings,
    open_admin_client,
    translate_errors,
)
from schemas.kafka.topics import Topic


@dataclass(frozen=True, slots=True)
class GroupLag:
    """How a group stands with a topic, in records, over all its partitions."""

    waiting: int
    """Not finished: read or not."""
    finished: int
    """Since the topic's beginning; what counts is by how much it grows."""


class BacklogReader:
    """Asks for the ends of topics, and for how far groups are with them."""

    def __init__(self, bootstrap: KafkaAddress) -> None:
        self._bootstrap = bootstrap
        self._admin: AIOKafkaAdminClient | None = None
        self._reader: AIOKafkaConsumer | None = None

    async def measure(self, topics: Mapping[str, Sequence[Topic]]) -> dict[str, GroupLag]:
        """Say by the name of each topic how the group that reads it stands. One call at a time.

        A worker may end records in any order and tell with its commit how many it has ended beyond it: a number as the
        commit's metadata. Without one, a record that takes long makes all behind it count as waiting.

        Args:
            topics: by the group that reads them.

        Raises:
            BrokerUnavailableError: Kafka does not answer within 5 s.

        """
        async with translate_errors(self._bootstrap), asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connect()
            assert self._admin is not None
            assert self._reader is not None
            places = {group: _places(read) for group, read in topics.items()}
            ends = await self._reader.end_offsets([place for each in places.values() for place in each])
            found = await asyncio.gather(
                *(self._admin.list_consumer_group_offsets(group, partitions=each) for group, each in places.items())
            )
        kept = {place: told for each in found for place, told in each.items()}
        return {
            topic.name: _sum(ends, kept, [TopicPartition(topic.name, number) for number in range(topic.partitions)])
            for read in topics.values()
            for topic in read
        }

    async def close(self) -> None:
        """Disconnect."""
        admin, self._admin = self._admin, None
        reader, self._reader = self._reader, None
        if admin is not None:
            await admin.close()
        if reader is not None:
            await reader.stop()

    async def _connect(self) -> None:
        if self._admin is None:
            self._admin = await open_admin_client(self._bootstrap)
        if self._reader is None:
            reader = AIOKafkaConsumer(**client_settings(self._bootstrap), enable_auto_commit=False)
            try:
                await reader.start()
            except BaseException:
                await reader.stop()
                raise
            self._reader = reader


def _places(topics: Sequence[Topic]) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]


def _sum(
    ends: Mapping[TopicPartition, int], kept: Mapping[TopicPartition, OffsetAndMetadata], places: list[TopicPartition]
) -> GroupLag:
    waiting = finished = 0
    for place in places:
        told = kept.get(place)
        if told is None or told.offset < 0:  # nobody has committed yet, so how many there are is not known from here
            continue
        done = told.offset + (int(told.metadata) if told.metadata.isdecimal() else 0)
        finished += done
        waiting += max(0, ends[place] - done)
    return GroupLag(waiting, finished)
