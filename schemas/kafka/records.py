"""A record as Kafka holds it, read and to be written. Bytes only: what they mean is the codec's to say."""

from __future__ import annotations

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.kafka.headers import Headers


@frozen_slots
class ConsumerRecord:
    """One record as it came from the log."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@frozen_slots
class ProducerRecord:
    """One record to write. Without a partition, the key decides (murmur2, as in every Kafka client)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    dead_letter_topic: str = ""
    """Where this goes instead if its topic or partition does not exist: a dead-letter topic. Only for topics that
    callers name; a topic of ours that is missing stops the stage."""
    write_after_revocation: bool = False
    """Write this also when the input's partition went to another worker meanwhile, who will write the rest."""
    source_record: ConsumerRecord | None = None
    """The record that this answers: its place is the one that such a dead letter tells."""
