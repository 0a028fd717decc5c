"""Queries of the gateway's ClickHouse: settled requests and their ingest delay."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request

from benchmarks.gateway import Gateway

INGEST = """
SELECT count() AS requests, quantile(0.5)(delay) AS p50, quantile(0.99)(delay) AS p99
FROM (SELECT dateDiff('millisecond', event_time, ingested_at) AS delay FROM events
    WHERE event_type = 'RequestSettled'
    AND event_time BETWEEN fromUnixTimestamp64Milli(toInt64({begin}))
        AND fromUnixTimestamp64Milli(toInt64({end})))"""

ANSWERED = """
SELECT count() AS n, dateDiff('millisecond', min(received_at), max(settled_at)) / 1000 AS seconds
FROM requests WHERE request_model = '{model}' AND outcome = 'answered'"""

STORE_DELAY_S = 3.0
"""Wait until all settled requests can be queried."""


def query_row(gateway: Gateway, sql: str) -> dict[str, float]:
    """Return the single row of a query."""
    query = urllib.parse.urlencode({"query": sql + " FORMAT JSONEachRow", "database": "sluice"})
    with urllib.request.urlopen(f"{gateway.clickhouse}/?{query}", timeout=30) as found:
        row: dict[str, float] = json.loads(found.read())
        return row


def ingest_p99_ms(gateway: Gateway, begin_ms: int, end_ms: int) -> float | None:
    """Return the 99th percentile from settlement to ingest, of requests settled in this time (since the epoch)."""
    found = query_row(gateway, INGEST.format(begin=begin_ms, end=end_ms))
    return float(found["p99"]) if int(found["requests"]) else None


def count_answered(gateway: Gateway, model: str) -> tuple[int, float]:
    """Return the number of answered requests of a model, and the seconds from the first to the last."""
    found = query_row(gateway, ANSWERED.format(model=model))
    return int(found["n"]), float(found["seconds"])
