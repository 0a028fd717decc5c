"""Looks at Kafka: the brokers, the topics, who reads them, and how far behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.kafka import Groups, lag
from connectors.kafka.admin.replicas import replica_status
from schemas.kafka.stages import STAGES
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed
from streams.provisioning.topics import verify_topics

LAG_RECORDS = 10_000
"""A stage that is so far behind is worth a look."""
NAMED = 3
"""Partitions that are named; of more the count is enough."""


async def brokers(settings: Settings) -> str:
    """Whether Kafka answers, and every partition has a leader and all of its copies."""
    topics = settings.topics
    found = await replica_status(settings.kafka.address, (*topics.all, *topics.dead_letters))
    if found.leaderless:
        raise CheckFailed(f"partitions without a leader: {_named(found.leaderless)}; are all brokers up?")
    if found.lagging:
        raise CheckFailed(f"under-replicated partitions: {_named(found.lagging)}; is a broker down, or slow?")
    return f"{settings.kafka.bootstrap_servers}, {found.brokers} broker{'s' if found.brokers > 1 else ''}"


async def topics(settings: Settings) -> str:
    """Whether all topics are there, as configured; one line for each that is not."""
    await verify_topics(settings)
    return "all there, and as configured"


async def stages(settings: Settings) -> str:
    """Whether every partition has a worker; if not, what waits for one."""
    groups = Groups(settings.kafka.address)
    try:
        missing = await groups.missing(settings.topics)
    finally:
        await groups.close()
    without = [stage for stage in STAGES if missing.get(stage)]
    if not without:
        return "every stage has all its partitions"
    waiting = await _lag_of(settings, without)
    told = [f"{stage} ({len(missing[stage])}, {waiting[stage]} records wait)" for stage in without]
    raise CheckFailed(f"partitions without a worker: {', '.join(told)}; start `sluice run {' '.join(without)}`")


async def backlog(settings: Settings) -> str:
    """How far each stage is behind."""
    behind = await _lag_of(settings, STAGES)
    if slow := {stage: count for stage, count in behind.items() if count > LAG_RECORDS}:
        raise CheckFailed(
            ", ".join(f"{stage} is {count} records behind" for stage, count in slow.items()) + "; add workers"
        )
    return ", ".join(f"{stage} {count}" for stage, count in behind.items())


async def _lag_of(settings: Settings, names: Iterable[str]) -> Mapping[str, int]:
    where, known = settings.kafka.address, settings.topics
    return {stage: sum((await lag(where, known.group(stage), known.sources_of(stage))).values()) for stage in names}


def _named(partitions: tuple[tuple[str, int], ...]) -> str:
    told = ", ".join(f"{topic}[{number}]" for topic, number in partitions[:NAMED])
    return f"{told} and {len(partitions) - NAMED} more" if len(partitions) > NAMED else told
