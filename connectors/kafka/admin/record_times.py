"""Timestamps of records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndTimestamp

from connectors.kafka.connection import (
    CONNECT_TIMEOUT_S,
    KafkaAddress,
    admin_client,
    consumer_settings,
    translate_errors,
)
from schemas.kafka.topics import Topic


async def earliest_record_since(bootstrap: KafkaAddress, topics: Iterable[Topic], since_ms: int) -> int | None:
    """Return the timestamp of the oldest record in these topics since ``since_ms``; None if there is none.

    Both are milliseconds since the epoch, by the clocks of the producers.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    async with translate_errors(bootstrap), admin_client(bootstrap) as client:
        described = await client.describe_topics([topic.name for topic in topics])
        names = [(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]
        found = await _offsets(bootstrap, {TopicPartition(*name): since_ms for name in names}) if names else {}
    return min((record.timestamp for record in found.values() if record is not None), default=None)


async def _offsets(
    bootstrap: KafkaAddress, since: dict[TopicPartition, int]
) -> Mapping[TopicPartition, OffsetAndTimestamp | None]:
    consumer = AIOKafkaConsumer(**consumer_settings(bootstrap), request_timeout_ms=int(CONNECT_TIMEOUT_S * 1000))
    try:
        await consumer.start()
        found: Mapping[TopicPartition, OffsetAndTimestamp | None] = await consumer.offsets_for_times(since)
        return found
    finally:
        await consumer.stop()
