"""Checks of Kafka: brokers, topics, consumer groups and their lag."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.kafka import Groups, lag
from connectors.kafka.admin.replicas import replica_status
from schemas.kafka.stages import STAGES
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed
from streams.provisioning.topics import verify_topics

LAG_RECORDS = 10_000
"""Lag of a stage, in records, from which the check fails."""
PARTITIONS_LISTED = 3
"""Partitions that a message lists; of the others it has the count."""


async def brokers(settings: Settings) -> str:
    """Check that Kafka answers, and that every partition has a leader and all replicas in sync."""
    topics = settings.topics
    status = await replica_status(settings.kafka.address, (*topics.all, *topics.dead_letters))
    if status.leaderless:
        raise CheckFailed(
            f"partitions without a leader: {_list_partitions(status.leaderless)}; check that all brokers run"
        )
    if status.lagging:
        raise CheckFailed(
            f"under-replicated partitions: {_list_partitions(status.lagging)}; check whether a broker is down or slow"
        )
    return f"{settings.kafka.bootstrap_servers}, {status.brokers} broker{'s' if status.brokers > 1 else ''}"


async def topics(settings: Settings) -> str:
    """Check that all topics exist as configured."""
    await verify_topics(settings)
    return "all topics match the configuration"


async def stages(settings: Settings) -> str:
    """Check that every partition has a worker; if not, report the records that wait for one."""
    groups = Groups(settings.kafka.address)
    try:
        missing = await groups.missing(settings.topics)
    finally:
        await groups.close()
    without = [stage for stage in STAGES if missing.get(stage)]
    if not without:
        return "every partition has a worker"
    lags = await _lag_of(settings, without)
    details = [f"{stage} ({len(missing[stage])}, {lags[stage]} records wait)" for stage in without]
    raise CheckFailed(f"partitions without a worker: {', '.join(details)}; start `sluice run {' '.join(without)}`")


async def backlog(settings: Settings) -> str:
    """Check the lag of each stage."""
    behind = await _lag_of(settings, STAGES)
    if slow := {stage: count for stage, count in behind.items() if count > LAG_RECORDS}:
        raise CheckFailed(
            ", ".join(f"{stage} is {count} records behind" for stage, count in slow.items()) + "; add workers"
        )
    return ", ".join(f"{stage} {count}" for stage, count in behind.items())


async def _lag_of(settings: Settings, names: Iterable[str]) -> Mapping[str, int]:
    address, topics = settings.kafka.address, settings.topics
    return {stage: sum((await lag(address, topics.group(stage), topics.sources_of(stage))).values()) for stage in names}


def _list_partitions(partitions: tuple[tuple[str, int], ...]) -> str:
    listed = ", ".join(f"{topic}[{number}]" for topic, number in partitions[:PARTITIONS_LISTED])
    return f"{listed} and {len(partitions) - PARTITIONS_LISTED} more" if len(partitions) > PARTITIONS_LISTED else listed
