"""Consumers return ``schemas.kafka.records.ConsumerRecord``, built directly from the parser's result.

aiokafka builds a frozen dataclass of eleven fields for each record first, of which we use seven. That was more than
half of the cost of reading a record, and a request is read thirteen times on its way through the pipeline.
"""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher

from schemas.kafka.records import ConsumerRecord


def apply() -> None:
    """Make every consumer of this process return our records."""
    fetcher.PartitionRecords = DirectPartitionRecords


class DirectPartitionRecords(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka has no types
    """The records of one partition in one fetch. Keys and values stay bytes: configured deserializers are ignored."""

    def _consumer_record(self, partition: TopicPartition, parsed: Any) -> ConsumerRecord:  # noqa: ANN401 - a class in C
        return ConsumerRecord(
            partition.topic,
            partition.partition,
            parsed.offset,
            parsed.timestamp,
            parsed.key,
            parsed.value,
            tuple(parsed.headers),
        )
