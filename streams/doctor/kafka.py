"""Looks at Kafka: the brokers, the topics, who reads them, and how far behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from connectors.kafka import Groups, lag
from connectors.kafka.admin.replicas import copies
from schemas.kafka.stages import STAGES
from streams.config.settings import Settings
from streams.doctor.finding import Wrong
from streams.provisioning.topics import check_log

LAG_RECORDS = 10_000
"""A stage that is so far behind is worth a look."""
NAMED = 3
"""Partitions that are named; of more the count is enough."""


async def brokers(settings: Settings) -> str:
    """Whether Kafka answers, and every partition has a leader and all of its copies."""
    topics = settings.topics
    found = await copies(settings.kafka.cluster, (*topics.all, *topics.dead_letters))
    if found.leaderless:
        raise Wrong(f"partitions without a leader: {_named(found.leaderless)}; are all brokers up?")
    if found.lagging:
        raise Wrong(f"under-replicated partitions: {_named(found.lagging)}; is a broker down, or slow?")
    return f"{settings.kafka.bootstrap_servers}, {found.brokers} broker{'s' if found.brokers > 1 else ''}"


async def topics(settings: Settings) -> str:
    """Whether all topics are there, as configured; one line for each that is not."""
    await check_log(settings)
    return "all there, and as configured"


async def stages(settings: Settings) -> str:
    """Whether every partition has a worker; if not, what waits for one."""
    groups = Groups(settings.kafka.cluster)
    try:
        missing = await groups.missing(settings.topics)
    finally:
        await groups.close()
    without = [stage for stage in STAGES if missing.get(stage)]
    if not without:
        return "every stage has all its partitions"
    waiting = await _behind(settings, without)
    told = [f"{stage} ({len(missing[stage])}, {waiting[stage]} records wait)" for stage in without]
    raise Wrong(f"partitions without a worker: {', '.join(told)}; start `sluice run {' '.join(without)}`")


async def backlog(settings: Settings) -> str:
    """How far each stage is behind."""
    behind = await _behind(settings, STAGES)
    if slow := {stage: count for stage, count in behind.items() if count > LAG_RECORDS}:
        raise Wrong(", ".join(f"{stage} is {count} records behind" for stage, count in slow.items()) + "; add workers")
    return ", ".join(f"{stage} {count}" for stage, count in behind.items())


async def _behind(settings: Settings, names: Iterable[str]) -> Mapping[str, int]:
    where, known = settings.kafka.cluster, settings.topics
    return {stage: sum((await lag(where, known.group(stage), known.read_by(stage))).values()) for stage in names}


def _named(partitions: tuple[tuple[str, int], ...]) -> str:
    told = ", ".join(f"{topic}[{number}]" for topic, number in partitions[:NAMED])
    return f"{told} and {len(partitions) - NAMED} more" if len(partitions) > NAMED else told
