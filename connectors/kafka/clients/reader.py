"""Reader of given partitions without a consumer group, so that no rebalance delays it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Literal, Self

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import ConsumerStoppedError, KafkaError

from connectors.kafka.connection import CONNECT_TIMEOUT_S, KafkaAddress, consumer_settings, translate_errors
from connectors.kafka.errors import NoSuchTopicError
from schemas.kafka.records import ConsumerRecord

_FETCH_WAIT_MS = 100
"""Longest time that the broker holds an empty fetch; a new record is returned at once."""
_REQUEST_TIMEOUT_MS = 10_000
"""After this time without a response, the request is sent over a new connection."""
_RETRY_S = 0.2


class PartitionReader:
    """Reads some partitions from their end, or beginning, at its start. It survives broker restarts."""

    def __init__(
        self,
        bootstrap: KafkaAddress,
        partitions: Iterable[tuple[str, int]],
        *,
        begin: Literal["end", "beginning"] = "end",
    ) -> None:
        self._bootstrap = bootstrap
        self._partitions = [TopicPartition(topic, partition) for topic, partition in partitions]
        self._begin = begin
        self._client: AIOKafkaConsumer | None = None

    async def start(self) -> None:
        """Connect and fix the positions: no record written after this returns is missed.

        Raises:
            BrokerUnavailableError: Kafka does not answer within 5 s.
            NoSuchTopicError: a topic, or a partition of it, does not exist.

        """
        self._client = client = AIOKafkaConsumer(
            **consumer_settings(self._bootstrap),
            auto_offset_reset="earliest",  # if retention has deleted the position, skip no more than that
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            request_timeout_ms=_REQUEST_TIMEOUT_MS,
        )
        try:
            async with translate_errors(self._bootstrap):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await client.start()
                    await self._seek_to_start(client)
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await client.stop()

    async def read(self, timeout_s: float = 1.0) -> list[ConsumerRecord]:
        """Return new records as soon as there are any; an empty list after the timeout or without a broker."""
        if self._client is None:
            raise RuntimeError("the reader is not started")
        try:
            fetched = await self._client.getmany(timeout_ms=int(timeout_s * 1000))
        except ConsumerStoppedError:
            return []
        except KafkaError:
            await asyncio.sleep(_RETRY_S)
            return []
        return [record for records in fetched.values() for record in records]

    async def __aiter__(self) -> AsyncIterator[list[ConsumerRecord]]:
        """Yield non-empty lists of records until stopped."""
        while self._client is not None:
            records = await self.read()
            if records:
                yield records

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _seek_to_start(self, client: AIOKafkaConsumer) -> None:
        topics = await client._client.fetch_all_metadata()  # noqa: SLF001 - the public method waits for ever for a missing topic
        for topic, partition in self._partitions:
            if partition not in (topics.partitions_for_topic(topic) or ()):
                raise NoSuchTopicError(f"topic {topic}, partition {partition}, does not exist at {self._bootstrap}")
        client.assign(self._partitions)
        offsets_of = client.end_offsets if self._begin == "end" else client.beginning_offsets
        for partition, offset in (await offsets_of(self._partitions)).items():
            client.seek(partition, offset)
