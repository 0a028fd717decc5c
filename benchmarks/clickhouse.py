"""What the gateway's own ClickHouse has of a run: what is settled, and how long it took to get there."""

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

STORED_S = 3.0
"""After which all that was settled can be queried."""


def ask(at: Gateway, sql: str) -> dict[str, float]:
    """The one row that a query finds."""
    query = urllib.parse.urlencode({"query": sql + " FORMAT JSONEachRow", "database": "sluice"})
    with urllib.request.urlopen(f"{at.clickhouse}/?{query}", timeout=30) as found:
        row: dict[str, float] = json.loads(found.read())
        return row


def ingest_p99_ms(at: Gateway, begin_ms: int, end_ms: int) -> float | None:
    """From a request's end to when that can be queried, of all that ended in this time (since the epoch)."""
    found = ask(at, INGEST.format(begin=begin_ms, end=end_ms))
    return float(found["p99"]) if int(found["requests"]) else None


def answered(at: Gateway, model: str) -> tuple[int, float]:
    """How many requests for a model are stored as answered, and how long it took from the first to the last of them."""
    found = ask(at, ANSWERED.format(model=model))
    return int(found["n"]), float(found["seconds"])
