"""Reader of a topic's history: a span of time, newest hour first, or one record by its offset."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka.connection import CONNECT_TIMEOUT_S, KafkaAddress, consumer_settings, translate_errors
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import HOUR

_FETCH_BYTES = 256 * 1024
"""Fetch size for one partition. A larger record is returned alone."""
_FETCH_WAIT_MS = 200
_READ_TIMEOUT_S = 5.0


class TopicHistoryReader:
    """Reader with one client, connected at the first use. It runs one read at a time; other callers wait."""

    def __init__(self, bootstrap: KafkaAddress, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._client: AIOKafkaConsumer | None = None
        self._lock = asyncio.Lock()

    async def read(self, partition: int, offset: int) -> ConsumerRecord | None:
        """Read one record; None if retention has deleted it.

        Raises:
            BrokerUnavailableError: Kafka does not return it within 5 s.

        """
        topic_partition = TopicPartition(self._topic, partition)
        async with self._connected() as client, asyncio.timeout(_READ_TIMEOUT_S):
            client.assign([topic_partition])
            client.seek(topic_partition, offset)
            record: ConsumerRecord = await client.getone(topic_partition)
            client.pause(topic_partition)  # later records are not needed
        return record if record.offset == offset else None

    async def read_backwards(
        self, partition: int, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[ConsumerRecord]]:
        """Yield the records of a time span: the last hour first, and in order of offsets within each hour.

        Once it has started, it waits while Kafka is unavailable.

        Args:
            partition: of the topic.
            since_ms: milliseconds since the epoch.
            until_ms: the same; exclusive.

        Raises:
            BrokerUnavailableError: Kafka does not answer.

        """
        topic_partition = TopicPartition(self._topic, partition)
        async with self._connected() as client:
            client.assign([topic_partition])
            first = (await client.beginning_offsets([topic_partition]))[topic_partition]
            end = await _offset_at(client, topic_partition, until_ms)
            while until_ms > since_ms and end > first:
                until_ms = max(until_ms - HOUR, since_ms)
                begin = await _offset_at(client, topic_partition, until_ms)
                async for records in _between(client, topic_partition, begin, end):
                    yield records
                end = begin

    async def stop(self) -> None:
        """Disconnect. Running reads must have been cancelled."""
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with self._lock, translate_errors(self._bootstrap):
            try:
                if self._client is None:
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        self._client = await self._connect()
                yield self._client
            except GeneratorExit:
                raise
            except BaseException:  # the client may be in any state: the next read opens another
                await self.stop()
                raise

    async def _connect(self) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(
            **consumer_settings(self._bootstrap),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=_FETCH_BYTES,
        )
        try:
            await client.start()
        except BaseException:
            await client.stop()
            raise
        return client


async def _offset_at(client: AIOKafkaConsumer, topic_partition: TopicPartition, at_ms: int) -> int:
    """Return the first offset of this time or later; the end offset if there is none."""
    found = (await client.offsets_for_times({topic_partition: at_ms}))[topic_partition]
    return int((await client.end_offsets([topic_partition]))[topic_partition] if found is None else found.offset)


async def _between(
    client: AIOKafkaConsumer, topic_partition: TopicPartition, begin: int, end: int
) -> AsyncIterator[list[ConsumerRecord]]:
    if begin >= end:
        return
    client.seek(topic_partition, begin)
    while await client.position(topic_partition) < end:
        for records in (await client.getmany(topic_partition, timeout_ms=_FETCH_WAIT_MS)).values():
            yield [record for record in records if record.offset < end]
