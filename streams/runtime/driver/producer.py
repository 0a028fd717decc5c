"""Faust's producer, made idempotent and acknowledged by all in-sync replicas, with an error for a missing topic."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Mapping
from typing import Any, cast

import aiokafka
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from faust.transport.drivers import aiokafka as stock

from connectors.kafka.clients.append_order import AppendLocks
from connectors.kafka.clients.fast_append import try_append
from connectors.kafka.connection import client_settings
from connectors.kafka.errors import NoSuchTopicError
from schemas.kafka.records import ProducerRecord
from streams.runtime.driver.app import App

APPEND_TIMEOUT_S = 3.0
"""Time that the producer may take to accept a record. It waits for room in a batch, and for deleted topics."""
METADATA_RETRY_S = 1.0
"""Least time between two metadata requests for a topic that was missing."""
MAX_MISSING_REMEMBERED = 1000
"""Names of missing topics in memory; callers choose these names, so their number has a limit."""

TooLargeError = MessageSizeTooLargeError
"""Raised for a record that is larger than the producer may send."""


class StageProducer(stock.Producer):
    """Idempotent producer that does not wait for topics that do not exist."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[str, set[int]] = {}
        self._missing: dict[str, float] = {}
        self._locks = AppendLocks()

    def _settings_extra(self) -> Mapping[str, Any]:
        return {**super()._settings_extra(), "enable_idempotence": True, "acks": "all"}

    def _settings_auth(self) -> Mapping[str, Any]:
        return client_settings(cast("App", self.app).kafka)

    async def flush(self) -> None:
        """Do nothing before a commit: the tracker counts only acknowledged outputs."""

    def append(self, output: ProducerRecord) -> asyncio.Future[Any] | None:
        """Hand a record to the producer without waiting; return None if that is impossible: then use ``write``."""
        try:
            return try_append(self._ensure_producer(), self._locks, output)
        except (KafkaError, AssertionError):  # aiokafka asserts that a partition exists
            return None

    async def write(self, output: ProducerRecord) -> asyncio.Future[Any]:
        """Hand a record to the producer; the future is done when all in-sync replicas have it.

        Raises:
            NoSuchTopicError: the topic or partition does not exist. The metadata is requested at most once a second.
            KafkaError: the producer accepted no record for 3 s, or failed for good, which also stops the worker.

        """
        async with self._locks.acquire(output.topic, output.partition):
            producer = self._ensure_producer()
            if not self._exists(output):
                await self._look_up(producer, output)
            return await self._append_waiting(producer, output)

    async def _append_waiting(self, producer: aiokafka.AIOKafkaProducer, output: ProducerRecord) -> asyncio.Future[Any]:
        headers = list(output.headers)
        try:
            async with asyncio.timeout(APPEND_TIMEOUT_S):
                future: asyncio.Future[Any] = await producer.send(
                    output.topic, output.value, key=output.key, partition=output.partition, headers=headers
                )
        except TimeoutError:
            self._known.pop(output.topic, None)  # it may have been deleted: request metadata before the next try
            raise KafkaTimeoutError(f"{output.topic} accepted no record within {APPEND_TIMEOUT_S:g} s") from None
        except AssertionError:
            self._known.pop(output.topic, None)  # the topic was deleted, and created again with fewer partitions
            raise NoSuchTopicError(f"{output.topic}[{output.partition}] does not exist") from None
        except KafkaError as error:
            if not (error.retriable or isinstance(error, TooLargeError)):
                await self.app.crash(error)  # the producer has failed for good: only a new process helps
            raise
        return future

    def _exists(self, output: ProducerRecord) -> bool:
        partitions = self._known.get(output.topic)
        return partitions is not None and (output.partition is None or output.partition in partitions)

    async def _look_up(self, producer: aiokafka.AIOKafkaProducer, output: ProducerRecord) -> None:
        """Request the metadata of all topics: a request for one by name would wait for it to appear."""
        missing_since_s = self._missing.get(output.topic, -math.inf)
        if time.monotonic() - missing_since_s >= METADATA_RETRY_S:
            cluster = await producer.client.fetch_all_metadata()
            self._known = {name: cluster.partitions_for_topic(name) for name in cluster.topics()}
            if self._exists(output):
                return
            if len(self._missing) >= MAX_MISSING_REMEMBERED:
                self._missing.clear()
            self._missing[output.topic] = time.monotonic()
        target = output.topic if output.partition is None else f"{output.topic}[{output.partition}]"
        raise NoSuchTopicError(f"{target} does not exist")
