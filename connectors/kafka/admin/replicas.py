"""Replication status of a cluster: partitions without a leader or with too few in-sync replicas."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from connectors.kafka.connection import KafkaAddress, admin_client, translate_errors
from schemas.kafka.topics import Topic


@dataclass(frozen=True, slots=True)
class ReplicaStatus:
    """Number of brokers, and unhealthy partitions as topic and number."""

    brokers: int
    leaderless: tuple[tuple[str, int], ...]
    """Partitions that can't be written or read."""
    lagging: tuple[tuple[str, int], ...]
    """Under-replicated partitions: a replica is missing or behind, so that fewer brokers may fail than configured."""


async def replica_status(bootstrap: KafkaAddress, topics: Iterable[Topic]) -> ReplicaStatus:
    """Return the status of these topics; those that do not exist are omitted.

    Raises:
        BrokerUnavailableError: Kafka does not answer within 5 s.

    """
    async with translate_errors(bootstrap), admin_client(bootstrap) as client:
        cluster = await client.describe_cluster()
        described = await client.describe_topics([topic.name for topic in topics])
    parts = [(topic["topic"], part) for topic in described for part in topic["partitions"]]
    return ReplicaStatus(
        len(cluster["brokers"]),
        tuple((name, part["partition"]) for name, part in parts if part["leader"] < 0),
        tuple((name, part["partition"]) for name, part in parts if len(part["isr"]) < len(part["replicas"])),
    )
