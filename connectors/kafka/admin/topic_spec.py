"""Specification of a topic: partitions, replicas and configuration, and the differences between two of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.kafka.topics import HOUR, MAX_MESSAGE_BYTES, Topic

SAFE_REPLICATION_FACTOR = 3
"""With this many replicas a record is acknowledged by two brokers, and one may be down."""


@dataclass(frozen=True, slots=True)
class Replication:
    """Number of brokers that store each record, and that must have it before it is acknowledged."""

    factor: int = 1
    min_insync: int = 0
    """0 means two with three replicas or more, otherwise one."""

    @property
    def in_sync(self) -> int:
        """Kafka's ``min.insync.replicas``."""
        return self.min_insync or (2 if self.factor >= SAFE_REPLICATION_FACTOR else 1)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it exists, or as it should be."""

    partitions: int
    replicas: int
    """Replicas of the partition that has the fewest."""
    configs: Mapping[str, str]
    """The topic's configuration, by Kafka's names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference between a topic and its specification. ``remedy`` says how to resolve it."""

    setting: str
    found: str
    wanted: str
    remedy: str

    @property
    def alterable(self) -> bool:
        """True if Kafka can change the setting in place, without moving records."""
        return self.remedy in {_ALTER, _ALTER_OR_KEEP}

    def __str__(self) -> str:
        found, wanted = (_describe(self.setting, value) for value in (self.found, self.wanted))
        return f"{self.setting} is {found} and should be {wanted}"


_ALTER = "`sluice topics --alter` changes it"
_ALTER_OR_KEEP = f"{_ALTER}, and kafka.retention_hours sets the retention"
_FEWER = "Kafka can't remove partitions: set kafka.partitions, or delete the topic and run `sluice topics`"
_COPIES = "move it with `kafka-reassign-partitions.sh`, or set kafka.replication_factor"
_CHECKED = ("cleanup.policy", "retention.ms", "max.message.bytes", "min.insync.replicas")


def desired_spec(topic: Topic, replication: Replication) -> TopicSpec:
    """Return the specification that a topic is created with."""
    configs = {
        "cleanup.policy": topic.cleanup,
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "min.insync.replicas": str(replication.in_sync),
    }
    if topic.cleanup == "delete":
        # Kafka deletes whole segments, and a quiet topic fills one in a week: personal data must be deleted earlier
        configs["segment.ms"] = str(max(topic.retention_ms // 6, HOUR // 6))
    return TopicSpec(topic.partitions, replication.factor, configs)


def differences(found: TopicSpec, right: TopicSpec) -> list[Difference]:
    """Return all differences. The segment time is set once and not compared, so that an operator can change it."""
    differing = []
    if found.partitions != right.partitions:
        remedy = _ALTER if found.partitions < right.partitions else _FEWER
        differing.append(Difference("partitions", str(found.partitions), str(right.partitions), remedy))
    if found.replicas != right.replicas:
        differing.append(Difference("replication.factor", str(found.replicas), str(right.replicas), _COPIES))
    for name in _CHECKED:
        is_now, should_be = found.configs.get(name, ""), right.configs[name]
        if is_now != should_be:
            remedy = _ALTER_OR_KEEP if name == "retention.ms" else _ALTER
            differing.append(Difference(name, is_now, should_be, remedy))
    return differing


def describe_differences(topic: str, differing: list[Difference]) -> str:
    """Return a sentence that names a topic's differences and their remedies."""
    faults = ", ".join(map(str, differing))
    remedies = dict.fromkeys(difference.remedy for difference in differing)
    if _ALTER_OR_KEEP in remedies:
        remedies.pop(_ALTER, None)
    return f"topic {topic}: {faults}; {'; '.join(remedies)}"


def _describe(setting: str, value: str) -> str:
    """Return the value, and a time also in hours."""
    if setting == "retention.ms" and value.isdecimal():
        return f"{value} ({int(value) / HOUR:g} h)"
    return value or "not set"
