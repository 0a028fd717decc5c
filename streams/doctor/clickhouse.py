"""Looks at ClickHouse: whether it is there, has what the log has, and what its rows say."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from connectors.kafka.admin.record_times import earliest_record_since
from streams.config.settings import Settings
from streams.doctor.finding import CheckFailed, CheckWarning
from streams.provisioning import clickhouse as stores

DEAD_LETTERS = """
SELECT kafka_topic AS topic, count() AS letters, countIf(ingested_at > now() - INTERVAL 5 MINUTE) AS coming
FROM events WHERE endsWith(kafka_topic, '-dlt') AND ingested_at > now() - INTERVAL 1 DAY
GROUP BY topic ORDER BY letters DESC"""
WHY_DEAD = (
    'why: sluice query "SELECT event_time, kafka_topic, error_type, error_message FROM events'
    " WHERE event_type = 'DeadLettered'\""
)
STALE_S = 60
"""A record that is older than this and newer than every row should be a row by now."""


async def clickhouse(settings: Settings) -> str:
    """Whether it answers and has our tables."""
    (row,) = await _rows(settings, "SELECT version() AS version, count() AS events FROM events")
    return f"version {row['version']}, {row['events']} events"


async def freshness(settings: Settings) -> str:
    """Whether the newest row keeps up with the log."""
    (row,) = await _rows(settings, "SELECT toUnixTimestamp64Milli(max(ingested_at)) AS newest FROM events_log")
    newest = int(row["newest"])
    waiting = await earliest_record_since(settings.kafka.address, settings.topics.sources_of("audit"), newest + 1)
    now = int(time.time() * 1000)
    if waiting is not None and (late := (now - waiting) // 1000) > STALE_S:
        raise CheckFailed(
            f"a record of {late} s ago is newer than every row; does audit run, and does ClickHouse take rows?"
        )
    return "as new as the log" if newest else "no rows, and nothing on the log that should be one"


async def unsettled(settings: Settings) -> str:
    """Whether every request has come to its end."""
    (row,) = await _rows(settings, "SELECT count() AS late FROM unsettled WHERE age_ms > 300000")
    if row["late"]:
        raise CheckFailed(f"{row['late']} requests have no end after five minutes; the view `unsettled` names them")
    return "none older than five minutes"


async def dead_letters(settings: Settings) -> str:
    """What could not be processed: wrong while it goes on, worth knowing for a day."""
    rows = await _rows(settings, DEAD_LETTERS)
    if not rows:
        return "none in the last day"
    if coming := [row for row in rows if row["coming"]]:
        told = ", ".join(f"{row['coming']} on {row['topic']}" for row in coming)
        raise CheckFailed(f"in the last five minutes {told}; {WHY_DEAD}")
    told = ", ".join(f"{row['letters']} on {row['topic']}" for row in rows)
    raise CheckWarning(f"in the last day {told}; {WHY_DEAD}")


async def _rows(settings: Settings, sql: str) -> list[dict[str, Any]]:
    reader = stores.open_reader(settings)
    try:
        return await asyncio.to_thread(reader.rows, sql)
    finally:
        reader.close()
