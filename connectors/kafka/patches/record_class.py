"""Every consumer of this process gives ``schemas.kafka.records.Record``, made at once from what the parser found.

aiokafka dresses each record in a frozen dataclass of eleven fields first, and all that we took of it were seven: more
than half of what reading a record cost, and a request is read thirteen times on its way.
"""

from __future__ import annotations

from typing import Any

from aiokafka import TopicPartition
from aiokafka.consumer import fetcher

from schemas.kafka.records import ConsumerRecord


def apply() -> None:
    """Make every consumer of this process do so. Twice is as good as once."""
    fetcher.PartitionRecords = OwnRecords


class OwnRecords(fetcher.PartitionRecords):  # type: ignore[misc] # aiokafka has no types
    """What one fetch brought of a partition, record by record. Keys and values stay bytes, whoever asked for more."""

    def _consumer_record(self, place: TopicPartition, found: Any) -> ConsumerRecord:  # noqa: ANN401 - a class in C
        return ConsumerRecord(
            place.topic,
            place.partition,
            found.offset,
            found.timestamp,
            found.key,
            found.value,
            tuple(found.headers),
        )
