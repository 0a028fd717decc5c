"""Write records: what ``send`` has returned from is acknowledged by all in-sync replicas."""

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
"""Of a record, in bytes: lz4 makes what does not compress a little larger, and the topic's limit is on that."""
_BATCH_BYTES = 64 * 1024
_ASK_AGAIN_S = 1.0
_RETRY_S = 0.1
_OUT_OF_STEP = (OutOfOrderSequenceNumber, UnknownProducerId, InvalidProducerEpoch, ProducerFenced, ProducerClosed)
"""Broker and client disagree on sequence numbers; every refused record leads there, since it used one up."""


class KafkaProducer:
    """An idempotent producer: what it sends again after a fault is on the log once, and in order.

    Records sent at the same time share requests by themselves. It outlives broker restarts of any length.
    """

    def __init__(self, bootstrap: KafkaAddress, *, delivery_timeout_s: float = 10.0) -> None:
        self._bootstrap = bootstrap
        self._delivery_timeout_s = delivery_timeout_s
        self._client: AIOKafkaProducer | None = None
        self._lines = AppendLocks()
        self._renewing = asyncio.Lock()
        self._retired: set[asyncio.Task[None]] = set()
        self._missing: dict[str, float] = {}
        """When a topic was last found not to exist; entries live for a second."""

    async def start(self) -> None:
        """Connect.

        Raises:
            BrokerUnavailableError: Kafka does not answer within 5 s.

        """
        self._client = await self._connected()

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Wait for what is being sent, at most so long, then disconnect."""
        client, self._client = self._client, None
        if client is not None:
            await _close(client, timeout_s)
        if self._retired:
            await asyncio.wait(self._retired)

    async def send(self, output: ProducerRecord) -> None:
        """Write one record; on return it is on the log.

        ``else_dead_letter`` is the caller's to act upon.

        Raises:
            NoSuchTopicError: the topic or the partition does not exist; known within one question to the broker.
            RecordRefusedError: the record is too large, or breaks a rule of the topic.
            BrokerUnavailableError: not acknowledged within the delivery timeout; it may get onto the log all the same.

        """
        try:
            async with asyncio.timeout(self._delivery_timeout_s):
                while not await self._delivered(output):  # noqa: ASYNC110 - the broker sets no event
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

    async def _delivered(self, output: ProducerRecord) -> bool:
        """Try once; False if another try is worth it."""
        client = self._running()
        try:
            await (try_append(client, self._lines, output) or await self._sent(client, output))
        except KafkaError as error:
            if isinstance(error, _OUT_OF_STEP) or client._sender.sender_task.done():  # noqa: SLF001 - nothing public tells
                await self._renew(client)
            elif not error.retriable:
                why = f"Kafka refused a record for {output.topic} ({type(error).__name__})"
                raise RecordRefusedError(why) from error
            return False
        return True

    async def _sent(self, client: AIOKafkaProducer, output: ProducerRecord) -> asyncio.Future[Any]:
        async with self._lines.acquire(output.topic, output.partition):
            await self._exists(client, output)
            # no await between the check and this: for a topic that it does not know, this client would wait for
            # its full timeout, and from then on ask for the metadata of that topic alone
            acknowledged: asyncio.Future[Any] = await client.send(
                output.topic, output.value, output.key, output.partition, headers=list(output.headers)
            )
        return acknowledged

    def _running(self) -> AIOKafkaProducer:
        if self._client is None:
            raise RuntimeError("the producer is not started")
        return self._client

    async def _exists(self, client: AIOKafkaProducer, output: ProducerRecord) -> None:
        """See that the topic and the partition are there; a topic that is not is asked for once a second at most."""
        if _knows(client, output):
            return
        now = time.monotonic()
        if now - self._missing.get(output.topic, -_ASK_AGAIN_S) > _ASK_AGAIN_S:
            while not await client.client.force_metadata_update():  # noqa: ASYNC110 - the same
                await asyncio.sleep(_RETRY_S)
            if _knows(client, output):
                return
            self._missing = {topic: at for topic, at in self._missing.items() if now - at < _ASK_AGAIN_S}
            self._missing[output.topic] = now
        place = output.topic if output.partition is None else f"{output.topic}, partition {output.partition},"
        raise NoSuchTopicError(f"topic {place} does not exist at {self._bootstrap}")

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        """Start over with a new producer id, once for all who found the old one broken."""
        async with self._renewing:
            if self._client is broken:
                self._client = await self._connected()
                task = asyncio.create_task(_close(broken, self._delivery_timeout_s))
                self._retired.add(task)
                task.add_done_callback(self._retired.discard)

    async def _connected(self) -> AIOKafkaProducer:
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
                    await client.client.force_metadata_update()  # of all topics, since none was named
        except BaseException:
            await _close(client, 1)
            raise
        return client


def _knows(client: AIOKafkaProducer, output: ProducerRecord) -> bool:
    partitions = client.client.cluster.partitions_for_topic(output.topic)
    return partitions is not None and (output.partition is None or output.partition in partitions)


async def _close(client: AIOKafkaProducer, timeout_s: float) -> None:
    """Stop a client, also one that would wait for ever for acknowledgements of a broker that is gone."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(timeout_s):
            await client.stop()
            return
    sender = client._sender.sender_task  # noqa: SLF001 - its own stop has no end without the broker
    if sender is not None:
        sender.cancel()
    await client.client.close()
    if sender is not None:
        await asyncio.wait([sender], timeout=1)
    client._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001 - the same
