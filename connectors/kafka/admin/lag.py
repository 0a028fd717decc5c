"""Backlog of topics: unfinished records of the groups that read them, measured over connections that stay open."""

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
    consumer_settings,
    open_admin_client,
    translate_errors,
)
from schemas.kafka.topics import Topic


@dataclass(frozen=True, slots=True)
class TopicBacklog:
    """Progress of a group in a topic, in records over all partitions."""

    waiting: int
    """Unfinished records, fetched or not."""
    finished: int
    """Finished records since the topic's first offset; only its growth is meaningful."""


class BacklogReader:
    """Reads the end offsets of topics and the committed offsets of their groups."""

    def __init__(self, bootstrap: KafkaAddress) -> None:
        self._bootstrap = bootstrap
        self._admin: AIOKafkaAdminClient | None = None
        self._reader: AIOKafkaConsumer | None = None

    async def measure(self, topics: Mapping[str, Sequence[Topic]]) -> dict[str, TopicBacklog]:
        """Return the progress of the group of each topic, by topic name. One call at a time.

        A worker finishes records in any order. Its commit's metadata is the number of records finished after the
        committed offset; without it, one slow record would make all records after it count as waiting.

        Args:
            topics: by the group that reads them.

        Raises:
            BrokerUnavailableError: Kafka does not answer within 5 s.

        """
        async with translate_errors(self._bootstrap), asyncio.timeout(CONNECT_TIMEOUT_S):
            await self._connect()
            assert self._admin is not None
            assert self._reader is not None
            partitions = {group: _partitions(read) for group, read in topics.items()}
            ends = await self._reader.end_offsets([partition for each in partitions.values() for partition in each])
            found = await asyncio.gather(
                *(self._admin.list_consumer_group_offsets(group, partitions=each) for group, each in partitions.items())
            )
        committed = {partition: at for each in found for partition, at in each.items()}
        return {
            topic.name: _sum(
                ends, committed, [TopicPartition(topic.name, number) for number in range(topic.partitions)]
            )
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
            reader = AIOKafkaConsumer(**consumer_settings(self._bootstrap), enable_auto_commit=False)
            try:
                await reader.start()
            except BaseException:
                await reader.stop()
                raise
            self._reader = reader


def _partitions(topics: Sequence[Topic]) -> list[TopicPartition]:
    return [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]


def _sum(
    ends: Mapping[TopicPartition, int],
    committed: Mapping[TopicPartition, OffsetAndMetadata],
    partitions: list[TopicPartition],
) -> TopicBacklog:
    waiting = finished = 0
    for partition in partitions:
        commit = committed.get(partition)
        if commit is None or commit.offset < 0:  # no commit yet: the number of unfinished records is unknown
            continue
        done = commit.offset + (int(commit.metadata) if commit.metadata.isdecimal() else 0)
        finished += done
        waiting += max(0, ends[partition] - done)
    return TopicBacklog(waiting, finished)
