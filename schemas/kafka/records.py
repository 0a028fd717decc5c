"""Kafka records, read and to be written. Keys and values are bytes; the codec decodes them."""

from __future__ import annotations

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.kafka.headers import Headers


@frozen_slots
class ConsumerRecord:
    """One record read from Kafka."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers

    @property
    def position(self) -> str:
        """Topic, partition and offset as text: ``llm.requests.v1/3/42``."""
        return f"{self.topic}/{self.partition}/{self.offset}"


@frozen_slots
class ProducerRecord:
    """One record to write. Without a partition, the key selects it (murmur2, as in Java's client)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    dead_letter_topic: str = ""
    """Dead-letter topic for the record if its topic or partition does not exist. Only for topics that callers name; a
    missing pipeline topic stops the stage instead."""
    write_after_revocation: bool = False
    """Write the record even if another worker has the input's partition, and will write the other outputs."""
    source_record: ConsumerRecord | None = None
    """The record that this one answers; a dead letter has its position."""
