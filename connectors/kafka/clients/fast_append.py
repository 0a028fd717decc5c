"""The short way of a record into the batch that is being filled, where nothing is to be waited for.

A producer's ``send`` is three coroutines deep, prepared to wait for metadata and for room. Nearly always both are
there, and all that is left to do is to append.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from connectors.kafka.clients.append_order import AppendLocks
from schemas.kafka.records import ProducerRecord

_NOBODY = (None, -1)
MAX_RECORD_BYTES = 32 * 1024
"""Bytes of a value that goes the short way; what is larger is checked against the producer's limit, by ``send``."""


def try_append(producer: AIOKafkaProducer, lines: AppendLocks, output: ProducerRecord) -> asyncio.Future[Any] | None:
    """Append a record, if nobody is in line before its place and nothing has to be seen to.

    Returns:
        What is done when all in-sync replicas have it. None if it is for ``send``: somebody is in line, the key decides
        about the partition, it has no leader that is known, its batch is full, the record is large, or the producer is
        closed.

    """
    batches = producer._message_accumulator  # noqa: SLF001 - nothing public appends without waiting
    if output.partition is None or len(output.value or b"") > MAX_RECORD_BYTES or batches._closed or batches._exception:  # noqa: SLF001
        return None
    place = TopicPartition(output.topic, output.partition)
    if lines.is_locked(output.topic, output.partition):
        return None
    if producer.client.cluster.leader_for_partition(place) in _NOBODY:
        return None
    waiting = batches._batches.get(place)  # noqa: SLF001
    batch = waiting[-1] if waiting else batches._append_batch(batches.create_builder(), place)  # noqa: SLF001
    future: asyncio.Future[Any] | None = batch.append(output.key, output.value, None, headers=list(output.headers))
    return future
