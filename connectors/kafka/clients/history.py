"""Look back in one topic: through a span of its past, the newest hour first, or at one record by its place."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

from aiokafka import AIOKafkaConsumer, TopicPartition

from connectors.kafka.connection import CONNECT_TIMEOUT_S, KafkaAddress, client_settings, translate_errors
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import HOUR

_FETCH_BYTES = 256 * 1024
"""From one partition at a time. A larger record comes all the same, alone."""
_FETCH_WAIT_MS = 200
_READ_TIMEOUT_S = 5.0


class TopicHistoryReader:
    """One client, connected when first needed. It does one thing at a time: others wait for their turn."""

    def __init__(self, bootstrap: KafkaAddress, topic: str) -> None:
        self._bootstrap = bootstrap
        self._topic = topic
        self._client: AIOKafkaConsumer | None = None
        self._turn = asyncio.Lock()

    async def read(self, partition: int, offset: int) -> ConsumerRecord | None:
        """Read one record; None if retention has deleted it.

        Raises:
            BrokerUnavailableError: Kafka does not give it within 5 s.

        """
        place = TopicPartition(self._topic, partition)
        async with self._connected() as client, asyncio.timeout(_READ_TIMEOUT_S):
            client.assign([place])
            client.seek(place, offset)
            record: ConsumerRecord = await client.getone(place)
            client.pause(place)  # what comes behind it is not wanted
        return record if record.offset == offset else None

    async def read_backwards(
        self, partition: int, since_ms: int, until_ms: int
    ) -> AsyncGenerator[list[ConsumerRecord]]:
        """The records of a span of time: the last hour first, and within each hour as they stand on the log.

        Waits while Kafka is away, once it has begun.

        Args:
            partition: of the topic.
            since_ms: milliseconds since the epoch.
            until_ms: the same; the first record of this time or later is no more a part.

        Raises:
            BrokerUnavailableError: Kafka does not answer.

        """
        place = TopicPartition(self._topic, partition)
        async with self._connected() as client:
            client.assign([place])
            first = (await client.beginning_offsets([place]))[place]
            end = await _offset_at(client, place, until_ms)
            while until_ms > since_ms and end > first:
                until_ms = max(until_ms - HOUR, since_ms)
                begin = await _offset_at(client, place, until_ms)
                async for records in _between(client, place, begin, end):
                    yield records
                end = begin

    async def stop(self) -> None:
        """Disconnect. What is under way must have been cancelled."""
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[AIOKafkaConsumer]:
        async with self._turn, translate_errors(self._bootstrap):
            try:
                if self._client is None:
                    async with asyncio.timeout(CONNECT_TIMEOUT_S):
                        self._client = await self._connect()
                yield self._client
            except GeneratorExit:
                raise
            except BaseException:  # in the middle of anything: the next one begins anew
                await self.stop()
                raise

    async def _connect(self) -> AIOKafkaConsumer:
        client = AIOKafkaConsumer(
            **client_settings(self._bootstrap),
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


async def _offset_at(client: AIOKafkaConsumer, place: TopicPartition, at_ms: int) -> int:
    """The first offset of this time or later; the log's end if there is none."""
    found = (await client.offsets_for_times({place: at_ms}))[place]
    return int((await client.end_offsets([place]))[place] if found is None else found.offset)


async def _between(
    client: AIOKafkaConsumer, place: TopicPartition, begin: int, end: int
) -> AsyncIterator[list[ConsumerRecord]]:
    if begin >= end:
        return
    client.seek(place, begin)
    while await client.position(place) < end:
        for records in (await client.getmany(place, timeout_ms=_FETCH_WAIT_MS)).values():
            yield [record for record in records if record.offset < end]
