"""Append of a record to a producer's open batch without awaiting.

A producer's ``send`` is three nested coroutines that can wait for metadata and for room. Nearly always neither is
necessary, and an append is enough.
"""

from __future__ import annotations

import asyncio
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition

from connectors.kafka.clients.append_order import AppendLocks
from schemas.kafka.records import ProducerRecord

_NO_LEADER = (None, -1)
MAX_RECORD_BYTES = 32 * 1024
"""Largest value that is appended here; larger ones go to ``send``, which checks the producer's limit."""


def try_append(producer: AIOKafkaProducer, locks: AppendLocks, output: ProducerRecord) -> asyncio.Future[Any] | None:
    """Append a record if that needs no waiting.

    Returns:
        A future that completes when all in-sync replicas have the record. None if ``send`` has to be used: the
        destination is locked, the key selects the partition, its leader is unknown, its batch is full, the record is
        large, or the producer is closed.

    """
    batches = producer._message_accumulator  # noqa: SLF001 - nothing public appends without waiting
    if output.partition is None or len(output.value or b"") > MAX_RECORD_BYTES or batches._closed or batches._exception:  # noqa: SLF001
        return None
    partition = TopicPartition(output.topic, output.partition)
    if locks.is_locked(output.topic, output.partition):
        return None
    if producer.client.cluster.leader_for_partition(partition) in _NO_LEADER:
        return None
    waiting = batches._batches.get(partition)  # noqa: SLF001
    batch = waiting[-1] if waiting else batches._append_batch(batches.create_builder(), partition)  # noqa: SLF001
    future: asyncio.Future[Any] | None = batch.append(output.key, output.value, None, headers=list(output.headers))
    return future
