"""Checks of ClickHouse: it answers, its rows are up to date, and they show no lost or failed records."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from connectors.kafka.admin.record_times import earliest_record_since
from schemas.kafka.stages import STAGES
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed, CheckWarning
from streams.provisioning.clickhouse import open_reader

DEAD_LETTERS = """
SELECT kafka_topic AS topic, count() AS letters, countIf(ingested_at > now() - INTERVAL 5 MINUTE) AS recent
FROM events WHERE endsWith(kafka_topic, '-dlt') AND ingested_at > now() - INTERVAL 1 DAY
GROUP BY topic ORDER BY letters DESC"""
SHOW_REASONS = (
    'for the reasons: sluice query "SELECT event_time, kafka_topic, error_type, error_message FROM events'
    " WHERE event_type = 'DeadLettered'\""
)
RUNNING_CONFIGURATIONS = """
SELECT stage, argMax(config_hash, event_time) AS hash
FROM events
WHERE ingested_at > now() - INTERVAL 1 DAY AND config_hash != ''
    AND event_type IN ('ConfigurationApplied', 'RequestAdmitted', 'RequestRouted')
    AND event_time >= (
        SELECT max(event_time) FROM events
        WHERE event_type = 'ConfigurationApplied' AND ingested_at > now() - INTERVAL 1 DAY
    )
GROUP BY stage"""
"""The configuration of each stage's last event in the last day, after the last ConfigurationApplied (stage `up`)."""
STALE_S = 60
"""Age in seconds after which a record should have a row."""


async def clickhouse(settings: Settings) -> str:
    """Check that ClickHouse answers and has the tables."""
    (row,) = await _rows(settings, "SELECT version() AS version, count() AS events FROM events")
    return f"version {row['version']}, {row['events']} events"


async def freshness(settings: Settings) -> str:
    """Check that the newest row is up to date with Kafka."""
    (row,) = await _rows(settings, "SELECT toUnixTimestamp64Milli(max(ingested_at)) AS newest FROM events_log")
    newest = int(row["newest"])
    waiting = await earliest_record_since(settings.kafka.address, settings.topics.sources_of("audit"), newest + 1)
    now = int(time.time() * 1000)
    if waiting is not None and (late := (now - waiting) // 1000) > STALE_S:
        raise CheckFailed(
            f"a record written {late} s ago has no row yet; check that audit runs and that ClickHouse accepts inserts"
        )
    return "up to date with Kafka" if newest else "no rows, and no records in Kafka that should have one"


async def unsettled_requests(settings: Settings) -> str:
    """Check that every accepted request has a final state."""
    (row,) = await _rows(settings, "SELECT count() AS late FROM unsettled WHERE age_ms > 300000")
    if row["late"]:
        raise CheckFailed(
            f"{row['late']} requests have no final state after five minutes; the view `unsettled` lists them"
        )
    return "none older than five minutes"


async def running_configuration(settings: Settings) -> str:
    """Check that the stages processed their last requests with the configuration of the file."""
    hashes = {str(row["stage"]): str(row["hash"]) for row in await _rows(settings, RUNNING_CONFIGURATIONS)}
    stages = {stage: hash_ for stage, hash_ in hashes.items() if stage in STAGES} or hashes
    other = {stage: hash_ for stage, hash_ in stages.items() if hash_ != settings.hash}
    if other:
        running = ", ".join(f"{stage} {hash_}" for stage, hash_ in sorted(other.items()))
        raise CheckWarning(
            f"the last requests had another configuration ({running}); restart the processes that have it"
        )
    return "the same as the file" if stages else "no requests in the last day"


async def dead_letters(settings: Settings) -> str:
    """Check for records that could not be processed: a failure for five minutes, a warning for a day."""
    rows = await _rows(settings, DEAD_LETTERS)
    if not rows:
        return "none in the last day"
    if recent := [row for row in rows if row["recent"]]:
        counts = ", ".join(f"{row['recent']} on {row['topic']}" for row in recent)
        raise CheckFailed(f"{counts} in the last five minutes; {SHOW_REASONS}")
    counts = ", ".join(f"{row['letters']} on {row['topic']}" for row in rows)
    raise CheckWarning(f"{counts} in the last day; {SHOW_REASONS}")


async def _rows(settings: Settings, sql: str) -> list[dict[str, Any]]:
    reader = open_reader(settings)
    try:
        return await asyncio.to_thread(reader.rows, sql)
    finally:
        reader.close()
