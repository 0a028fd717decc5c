"""When records were written."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import OffsetAndTimestamp

from connectors.kafka.connection import CONNECT_TIMEOUT_S, KafkaAddress, admin_client, client_settings, translate_errors
from schemas.kafka.topics import Topic


async def earliest_record_since(bootstrap: KafkaAddress, topics: Iterable[Topic], since_ms: int) -> int | None:
    """The time of the oldest record on these topics that is not older than ``since_ms``; None if there is none.

    Both in milliseconds since 1970, by the clocks of those who wrote.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    async with translate_errors(bootstrap), admin_client(bootstrap) as client:
        described = await client.describe_topics([topic.name for topic in topics])
        places = [(topic["topic"], part["partition"]) for topic in described for part in topic["partitions"]]
        found = await _offsets(bootstrap, {TopicPartition(*place): since_ms for place in places}) if places else {}
    return min((record.timestamp for record in found.values() if record is not None), default=None)


async def _offsets(
    bootstrap: KafkaAddress, since: dict[TopicPartition, int]
) -> Mapping[TopicPartition, OffsetAndTimestamp | None]:
    consumer = AIOKafkaConsumer(**client_settings(bootstrap), request_timeout_ms=int(CONNECT_TIMEOUT_S * 1000))
    try:
        await consumer.start()
        found: Mapping[TopicPartition, OffsetAndTimestamp | None] = await consumer.offsets_for_times(since)
        return found
    finally:
        await consumer.stop()
