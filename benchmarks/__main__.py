"""`make bench`: what the gateway adds and what it costs, everything counted. Prints a table.

The provider is the simulated one without latency, so that all time is the gateway's own; prompts are 1 KB; audit is on.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import time
import urllib.parse
import urllib.request
import uuid
from collections.abc import Awaitable, Callable

import psutil
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from rich.console import Console
from rich.table import Table

from benchmarks.gateway import Gateway, gateway
from benchmarks.load import Connection, Outcome, closed, opened

MODEL = "sim/echo"
PROMPT = ("The quick brown fox jumps over the lazy dog. " * 23)[:1000]
BODY = json.dumps({"model": MODEL, "messages": [{"role": "user", "content": PROMPT}]}).encode()
REPLIES = "llm.replies.bench"
FIRST_MS = 200
"""After which a streaming provider has its first token."""

console = Console(width=190)
Run = Callable[[float], Awaitable[Outcome]]


def connection(at: Gateway) -> Connection:
    return Connection(f"{at.http}/v1/chat/completions", BODY)


async def http_closed(at: Gateway, in_flight: int, seconds: float) -> Outcome:
    connections = [connection(at) for _ in range(in_flight)]
    outcome = await closed(connections, seconds)
    for one in connections:
        one.close()
    return outcome


async def http_open(at: Gateway, rate: float, seconds: float) -> Outcome:
    return await opened(lambda: connection(at), rate, seconds)


async def streams(at: Gateway, in_flight: int, seconds: float) -> Outcome:
    """So many streams at once, of twenty words in a second; latency is the first token's, less the provider's own."""
    body = json.dumps({**json.loads(BODY), "model": f"sim/words?latency_ms={FIRST_MS}&chunk_ms=50", "stream": True})
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def one() -> None:
        line = Connection(f"{at.http}/v1/chat/completions", body.encode())
        while time.perf_counter() < end:
            sent = time.perf_counter()
            outcome.latencies_ms.append((await line.first_event() - sent) * 1000 - FIRST_MS)
        line.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(in_flight)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def slow_calls(at: Gateway, calls: int) -> Outcome:
    """So many calls of ten seconds at once, put on the log by callers who do not wait."""
    body = {"model": "sim/echo?latency_ms=10000", "messages": [{"role": "user", "content": PROMPT}]}
    ask = json.dumps(body).encode()
    lines = [Connection(f"{at.http}/v1/chat/completions", ask, {"Prefer": "respond-async"}) for _ in range(50)]
    outcome, started = Outcome(), time.perf_counter()

    async def one(line: Connection) -> None:
        for _ in range(calls // len(lines)):
            await line.ask()
        line.close()

    await asyncio.gather(*(one(line) for line in lines))
    await asyncio.sleep(max(0.0, 6 - (time.perf_counter() - started)))
    open_calls = (
        "SELECT countIf(event_type = 'AttemptStarted') - countIf(event_type = 'AttemptFinished') AS open FROM events"
    )
    console.print(
        f"{calls} calls of 10 s: {ask_clickhouse(at, open_calls)['open']} open at once, call worker "
        f"{at.cost().rss_mb['call']:.0f} MB"
    )
    settled = "SELECT count() AS n FROM requests WHERE request_model LIKE '%latency_ms=10000'"
    while ask_clickhouse(at, settled)["n"] < calls and time.perf_counter() - started < 60:
        await asyncio.sleep(0.5)
    outcome.seconds = time.perf_counter() - started
    outcome.latencies_ms = [10_000.0] * int(ask_clickhouse(at, settled)["n"])
    outcome.errors = calls - len(outcome.latencies_ms)
    return outcome


async def kafka_closed(at: Gateway, seconds: float) -> Outcome:
    """One caller on Kafka: a plain JSON record out, its reply back."""
    admin = AIOKafkaAdminClient(bootstrap_servers=at.kafka)
    await admin.start()
    if REPLIES not in await admin.list_topics():
        await admin.create_topics([NewTopic(REPLIES, 1, 1)])
    await admin.close()
    consumer = AIOKafkaConsumer(bootstrap_servers=at.kafka, fetch_max_wait_ms=100)
    async with AIOKafkaProducer(bootstrap_servers=at.kafka) as producer, consumer:
        consumer.assign([TopicPartition(REPLIES, 0)])
        await consumer.seek_to_end()
        outcome, end, started = Outcome(), time.perf_counter() + seconds, time.perf_counter()
        while time.perf_counter() < end:
            correlation, sent = uuid.uuid4().bytes, time.perf_counter()
            headers = [("kafka_replyTopic", REPLIES.encode()), ("kafka_correlationId", correlation)]
            await producer.send_and_wait("llm.requests.v1", BODY, headers=headers)
            while True:
                reply = await asyncio.wait_for(consumer.getone(), 10)
                if dict(reply.headers).get("kafka_correlationId") == correlation:
                    break
            outcome.latencies_ms.append((time.perf_counter() - sent) * 1000)
        outcome.seconds = time.perf_counter() - started
        return outcome


async def measured(at: Gateway, table: Table, name: str, run: Awaitable[Outcome]) -> None:
    """Run it and add its line: latency, rate, and CPU of every process per request."""
    before, own = at.cost(), time.process_time()
    outcome = await run
    own = time.process_time() - own
    spent = at.cost().since(before)
    requests = max(1, len(outcome.latencies_ms))
    per_request = {process: 1000 * seconds / requests for process, seconds in spent.items()}
    table.add_row(
        name,
        *(f"{outcome.percentile(share):.1f}" for share in (0.5, 0.95, 0.99)),
        f"{outcome.rate:.0f}",
        str(outcome.errors),
        f"{sum(per_request.values()):.2f}",
        ", ".join(f"{process} {figure:.2f}" for process, figure in per_request.items()),
        f"{1000 * own / requests:.2f}",
    )


def ask_clickhouse(at: Gateway, sql: str) -> dict[str, float]:
    query = urllib.parse.urlencode({"query": sql + " FORMAT JSONEachRow", "database": "sluice"})
    with urllib.request.urlopen(f"{at.clickhouse}/?{query}", timeout=30) as answer:
        found: dict[str, float] = json.loads(answer.read())
        return found


INGEST = """
SELECT count() AS events, uniqExact(request_id) AS requests,
    quantile(0.5)(delay) AS p50, quantile(0.99)(delay) AS p99
FROM (SELECT request_id, dateDiff('millisecond', event_time, ingested_at) AS delay FROM events
    WHERE event_type = 'RequestSettled')"""


async def main(seconds: float) -> None:
    table = Table(title="Sluice, simulated provider without latency, 1 KB prompts, audit on")
    for column in ("load", "p50 ms", "p95 ms", "p99 ms", "req/s", "errors", "CPU ms/req", "of which", "client CPU"):
        table.add_column(column, justify="left" if column in {"load", "of which"} else "right")
    with gateway() as at:
        await http_closed(at, 20, 3)  # warm
        await measured(at, table, "HTTP closed loop, 1 in flight", http_closed(at, 1, seconds))
        await measured(at, table, "HTTP closed loop, 100 in flight", http_closed(at, 100, seconds))
        await measured(at, table, "HTTP open loop, 200/s", http_open(at, 200, seconds))
        await measured(at, table, "Kafka closed loop, 1 in flight", kafka_closed(at, seconds))
        await measured(at, table, "first token, 200 streams at once", streams(at, 200, seconds))
        await asyncio.sleep(3)  # what was stored last
        ingest, rss = ask_clickhouse(at, INGEST), at.cost().rss_mb
        await measured(at, table, "2,000 calls of 10 s at once", slow_calls(at, 2000))
    console.print(table)
    console.print(f"memory, MB resident: {', '.join(f'{name} {mb:.0f}' for name, mb in rss.items())}")
    console.print(
        f"ingest delay of {ingest['requests']:.0f} requests: p50 {ingest['p50']:.0f} ms, p99 {ingest['p99']:.0f} ms"
    )
    console.print(f"machine: {psutil.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each load")
    asyncio.run(main(parser.parse_args().seconds))
