"""`sluice doctor`: look at every part, in the order of the data, and say in one sentence what is wrong with it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

import httpx

from connectors.kafka import Groups, lag
from schemas.plain import PlainError
from schemas.stages import STAGES
from streams import stores
from streams.ingress.keys import check_binding
from streams.settings import Settings

DEAD_LETTERS = """
SELECT count() AS letters FROM events
WHERE endsWith(kafka_topic, '-dlt') AND event_time > now() - INTERVAL 1 DAY"""
WHY_DEAD = (
    'why: sluice query "SELECT event_time, kafka_topic, error_type, error_message FROM events'
    " WHERE event_type = 'DeadLettered'\""
)
LAG_RECORDS = 10_000
"""A stage that is so far behind is worth a look."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    what: str
    ok: bool
    says: str

    def __str__(self) -> str:
        return f"{'ok' if self.ok else 'BAD':<4} {self.what:<19} {self.says}"

    def as_dict(self) -> dict[str, object]:
        """For JSON."""
        return asdict(self)


async def examine(settings: Settings) -> list[Finding]:
    """All looks; one that fails does not keep the others from being taken."""
    findings = []
    looks: list[tuple[str, Callable[[Settings], Awaitable[str]]]] = [
        ("configuration", _configuration),
        ("ingress", _ingress),
        ("stages", _stages),
        ("backlog", _backlog),
        ("ClickHouse", _clickhouse),
        ("unsettled requests", _unsettled),
        ("dead letters", _dead_letters),
    ]
    for what, look in looks:
        try:
            findings.append(Finding(what, ok=True, says=await look(settings)))
        except (PlainError, httpx.HTTPError) as error:
            findings.append(Finding(what, ok=False, says=str(error) or type(error).__name__))
    return findings


class Wrong(PlainError):  # noqa: N818 - it is a finding, no error
    """Something is not as it should be; the message says what, and what to do."""


async def _configuration(settings: Settings) -> str:
    check_binding(settings)
    return f"{settings.hash}, {_who(settings)}"


def _who(settings: Settings) -> str:
    if not settings.keys:
        return "no keys: anyone on this machine may call"
    return f"{len(settings.keys)} key{'s' if len(settings.keys) > 1 else ''}"


async def _ingress(settings: Settings) -> str:
    url = settings.http.url
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as client:
        try:
            answer = await client.get(f"{url}/readyz")
        except httpx.HTTPError:
            raise Wrong(f"nobody listens at {url}; start it with `sluice up` or `sluice run ingress`") from None
    if answer.status_code != httpx.codes.OK:
        raise Wrong(f"{url} is up but not ready: {answer.text}")
    return f"{url} is ready"


async def _stages(settings: Settings) -> str:
    groups = Groups(settings.kafka.cluster)
    try:
        missing = await groups.missing(settings.topics)
    finally:
        await groups.close()
    if without := [stage for stage in STAGES if missing.get(stage)]:
        raise Wrong(f"partitions without a worker in: {', '.join(without)}; start `sluice run {' '.join(without)}`")
    return f"{settings.kafka.bootstrap_servers}, every stage has all its partitions"


async def _backlog(settings: Settings) -> str:
    topics, behind = settings.topics, {}
    for stage in STAGES:
        lags = await lag(settings.kafka.cluster, topics.group(stage), topics.read_by(stage))
        behind[stage] = sum(lags.values())
    if slow := {stage: count for stage, count in behind.items() if count > LAG_RECORDS}:
        raise Wrong(", ".join(f"{stage} is {count} records behind" for stage, count in slow.items()) + "; add workers")
    return ", ".join(f"{stage} {count}" for stage, count in behind.items())


async def _rows(settings: Settings, sql: str) -> list[dict[str, object]]:
    reader = stores.reader(settings)
    try:
        return await asyncio.to_thread(reader.rows, sql)
    finally:
        reader.close()


async def _clickhouse(settings: Settings) -> str:
    (row,) = await _rows(settings, "SELECT version() AS version, count() AS events FROM events")
    return f"version {row['version']}, {row['events']} events"


async def _unsettled(settings: Settings) -> str:
    (row,) = await _rows(settings, "SELECT count() AS late FROM unsettled WHERE age_ms > 300000")
    if row["late"]:
        late = row["late"]
        raise Wrong(f"{late} requests have no end after five minutes; the view `unsettled` names them")
    return "none older than five minutes"


async def _dead_letters(settings: Settings) -> str:
    (row,) = await _rows(settings, DEAD_LETTERS)
    if row["letters"]:
        letters = row["letters"]
        raise Wrong(f"{letters} in the last day; {WHY_DEAD}")
    return "none in the last day"
