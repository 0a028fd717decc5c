"""Idempotent producer: when ``send`` returns, all in-sync replicas have the record."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    KafkaError,
    OutOfOrderSequenceNumber,
    ProducerClosed,
    ProducerFenced,
    UnknownProducerId,
)

from connectors.kafka.clients.append_order import AppendLocks
from connectors.kafka.clients.fast_append import try_append
from connectors.kafka.connection import CONNECT_TIMEOUT_S, KafkaAddress, client_settings, translate_errors
from connectors.kafka.errors import BrokerUnavailableError, NoSuchTopicError, RecordRefusedError
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import MAX_MESSAGE_BYTES

MAX_RECORD_BYTES = MAX_MESSAGE_BYTES - 64 * 1024
"""Largest record in bytes. The topic's limit applies after lz4, which makes incompressible data a little larger."""
_BATCH_BYTES = 64 * 1024
_METADATA_RETRY_S = 1.0
_RETRY_S = 0.1
_SEQUENCE_ERRORS = (OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, ProducerFenced, ProducerClosed)
"""Broker and client disagree on sequence numbers. Every refused record leads there, because it used up a number."""


class KafkaProducer:
    """Idempotent producer: a record that is sent again after an error is written once, and in order.

    Concurrent sends share requests. The producer survives broker restarts of any length.
    """

    def __init__(self, bootstrap: KafkaAddress, *, delivery_timeout_s: float = 10.0) -> None:
        self._bootstrap = bootstrap
        self._delivery_timeout_s = delivery_timeout_s
        self._client: AIOKafkaProducer | None = None
        self._locks = AppendLocks()
        self._renewing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        self._missing: dict[str, float] = {}
        """Time when a topic was last found missing; entries are kept for a second."""

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerUnavailableError: Kafka does not answer within 5 s.

        """
        self._client = await self._connect()

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Wait for records that are being sent, at most this long, then disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client, timeout_s)
        if self._retired:
            await asyncio.wait(self._retired)

    async def send(self, output: ProducerRecord) -> None:
        """Write one record, and wait until it is acknowledged.

        The record's ``dead_letter_topic`` is ignored here; the caller handles it.

        Raises:
            NoSuchTopicError: the topic or the partition does not exist; this takes one metadata request at most.
            RecordRefusedError: the record is too large, or violates a rule of the topic.
            BrokerUnavailableError: not acknowledged within the delivery timeout; it may be written nevertheless.

        """
        try:
            async with asyncio.timeout(self._delivery_timeout_s):
                while not await self._try_send(output):  # noqa: ASYNC110 - the broker has no event to wait for
                    await asyncio.sleep(_RETRY_S)
        except TimeoutError:
            raise BrokerUnavailableError(
                f"Kafka at {self._bootstrap} did not acknowledge a record within {self._delivery_timeout_s:g} s"
            ) from None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _try_send(self, output: ProducerRecord) -> bool:
        """Try once; return False if the caller should try again."""
        client = self._running()
        try:
            await (try_append(client, self._locks, output) or await self._send_slowly(client, output))
        except KafkaError as error:
            if isinstance(error, _SEQUENCE_ERRORS) or client._sender.sender_task.done():  # noqa: SLF001 - there is no public attribute
                await self._renew(client)
            elif not error.retriable:
                why = f"Kafka refused a record for {output.topic} ({type(error).__name__})"
                raise RecordRefusedError(why) from error
            return False
        return True

    async def _send_slowly(self, client: AIOKafkaProducer, output: ProducerRecord) -> asyncio.Future[Any]:
        async with self._locks.acquire(output.topic, output.partition):
            await self._check_exists(client, output)
            # no await between the check and this: for an unknown topic the client would wait for its full timeout, and
            # from then on request the metadata of that topic only
            acknowledged: asyncio.Future[Any] = await client.send(
                output.topic, output.value, output.key, output.partition, headers=list(output.headers)
            )
        return acknowledged

    def _running(self) -> AIOKafkaProducer:
        if self._client is None:
            raise RuntimeError("the producer is not started")
        return self._client

    async def _check_exists(self, client: AIOKafkaProducer, output: ProducerRecord) -> None:
        """Raise if the topic or partition is missing. A missing topic causes at most one metadata request a second."""
        if _knows(client, output):
            return
        now = time.monotonic()
        if now - self._missing.get(output.topic, -_METADATA_RETRY_S) > _METADATA_RETRY_S:
            while not await client.client.force_metadata_update():  # noqa: ASYNC110 - the same
                await asyncio.sleep(_RETRY_S)
            if _knows(client, output):
                return
            self._missing = {topic: at for topic, at in self._missing.items() if now - at < _METADATA_RETRY_S}
            self._missing[output.topic] = now
        target = output.topic if output.partition is None else f"{output.topic}, partition {output.partition},"
        raise NoSuchTopicError(f"topic {target} does not exist at {self._bootstrap}")

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """Replace a broken client by one with a new producer id; concurrent callers share the replacement."""
        async with self._renewing:
            if self._client is broken:
                self._client = await self._connect()
                task = asyncio.create_task(_close(broken, self._delivery_timeout_s))
                self._retired.add(task)
                task.add_done_callback(self._retired.discard)

    async def _connect(self) -> AIOKafkaProducer:
        client = AIOKafkaProducer(
            **client_settings(self._bootstrap),
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            max_batch_size=_BATCH_BYTES,
            max_request_size=MAX_RECORD_BYTES,
            request_timeout_ms=int(self._delivery_timeout_s * 1000),
        )
        try:
            async with translate_errors(self._bootstrap):
                async with asyncio.timeout(CONNECT_TIMEOUT_S):
                    await client.start()
                    await client.client.force_metadata_update()  # of all topics, because none was named
        except BaseException:
            await _close(client, 1)
            raise
        return client


def _knows(client: AIOKafkaProducer, output: ProducerRecord) -> bool:
    partitions = client.client.cluster.partitions_for_topic(output.topic)
    return partitions is not None and (output.partition is None or output.partition in partitions)


async def _close(client: AIOKafkaProducer, timeout_s: float) -> None:
    """Stop a client, also if it would wait for ever for a broker that no longer exists."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await client.stop()
            return
    sender = client._sender.sender_task  # noqa: SLF001 - its own stop does not end without the broker
    if sender is not None:
        sender.cancel()
    await client.client.close()
    if sender is not None:
        await asyncio.wait([sender], timeout=1)
    client._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001 - the same
