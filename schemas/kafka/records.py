"""A record as Kafka holds it, read and to be written. Bytes only: what they mean is the codec's to say."""

from __future__ import annotations

from schemas.codegen.frozen_dataclass import fixed
from schemas.kafka.headers import Headers


@fixed
class Record:
    """One record as it came from the log."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@fixed
class Output:
    """One record to write. Without a partition, the key decides (murmur2, as in every Kafka client)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None
    else_dead_letter: str = ""
    """Where this goes instead if its topic or partition does not exist: a dead-letter topic. Only for topics that
    callers name; a topic of ours that is missing stops the stage."""
    even_if_lost: bool = False
    """Write this also when the input's partition went to another worker meanwhile, who will write the rest."""
    origin: Record | None = None
    """The record that this answers: its place is the one that such a dead letter tells."""
