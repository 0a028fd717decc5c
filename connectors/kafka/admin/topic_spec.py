"""What a topic is and what it should be: its partitions, its copies, its configuration. Compares; asks nobody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from schemas.kafka.topics import HOUR, MAX_MESSAGE_BYTES, Topic

SAFE_REPLICATION_FACTOR = 3
"""With so many, a record is acknowledged by two brokers, and one may be down."""


@dataclass(frozen=True, slots=True)
class Replication:
    """How many brokers hold each record, and how many of them must have it before it counts as written."""

    factor: int = 1
    min_insync: int = 0
    """0: two where there are three copies or more, else one."""

    @property
    def in_sync(self) -> int:
        """Kafka's ``min.insync.replicas``."""
        return self.min_insync or (2 if self.factor >= SAFE_REPLICATION_FACTOR else 1)


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as a broker holds it, or shall."""

    partitions: int
    copies: int
    """Of the partition that has the fewest."""
    configs: Mapping[str, str]
    """The topic's own, by Kafka's names."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which a topic is not as it should be. ``remedy`` says what to do about it."""

    setting: str
    found: str
    wanted: str
    remedy: str

    @property
    def alterable(self) -> bool:
        """Whether Kafka can change it in place, without moving what is there."""
        return self.remedy in {_ALTER, _ALTER_OR_KEEP}

    def __str__(self) -> str:
        found, wanted = (_describe(self.setting, value) for value in (self.found, self.wanted))
        return f"{self.setting} is {found} and should be {wanted}"


_ALTER = "`sluice topics --alter` changes it"
_ALTER_OR_KEEP = f"{_ALTER}, and kafka.retention_hours says how long to keep what"
_FEWER = "Kafka takes no partitions away: set kafka.partitions, or delete the topic and run `sluice topics`"
_COPIES = "move it with `kafka-reassign-partitions.sh`, or set kafka.replication_factor"
_CHECKED = ("cleanup.policy", "retention.ms", "max.message.bytes", "min.insync.replicas")


def desired_spec(topic: Topic, replication: Replication) -> TopicSpec:
    """What a topic is created as."""
    configs = {
        "cleanup.policy": topic.cleanup,
        "retention.ms": str(topic.retention_ms),
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "min.insync.replicas": str(replication.in_sync),
    }
    if topic.cleanup == "delete":
        # Kafka deletes whole segments, and a quiet topic would fill its first for a week: personal data must go earlier
        configs["segment.ms"] = str(max(topic.retention_ms // 6, HOUR // 6))
    return TopicSpec(topic.partitions, replication.factor, configs)


def differences(found: TopicSpec, right: TopicSpec) -> list[Difference]:
    """All of them. How a topic's segments are cut is its operator's: it is set once, and not compared."""
    differing = []
    if found.partitions != right.partitions:
        remedy = _ALTER if found.partitions < right.partitions else _FEWER
        differing.append(Difference("partitions", str(found.partitions), str(right.partitions), remedy))
    if found.copies != right.copies:
        differing.append(Difference("replication.factor", str(found.copies), str(right.copies), _COPIES))
    for name in _CHECKED:
        is_now, should_be = found.configs.get(name, ""), right.configs[name]
        if is_now != should_be:
            remedy = _ALTER_OR_KEEP if name == "retention.ms" else _ALTER
            differing.append(Difference(name, is_now, should_be, remedy))
    return differing


def describe_differences(topic: str, differing: list[Difference]) -> str:
    """What is wrong with a topic, and what to do, in one sentence."""
    faults = ", ".join(map(str, differing))
    remedies = dict.fromkeys(difference.remedy for difference in differing)
    if _ALTER_OR_KEEP in remedies:
        remedies.pop(_ALTER, None)
    return f"topic {topic}: {faults}; {'; '.join(remedies)}"


def _describe(setting: str, value: str) -> str:
    """A time with its hours: nobody reads milliseconds."""
    if setting == "retention.ms" and value.isdecimal():
        return f"{value} ({int(value) / HOUR:g} h)"
    return value or "not set"
