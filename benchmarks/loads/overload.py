"""Overload: a batch beside interactive requests, and a provider that stalls while requests arrive."""

from __future__ import annotations

import asyncio

from benchmarks import clickhouse
from benchmarks.bench import STALLED, Bench, chat_body
from benchmarks.load import Outcome, closed_loop, open_loop
from benchmarks.loads import kafka

BATCH = 10_000
BATCH_MODEL = "sim/echo?latency_ms=200"
RATE = 100.0
"""Interactive requests per second."""
STALLED_RATE = 200
"""Requests per second for the provider that stalls."""
IN_FLIGHT = 50


async def lanes(bench: Bench) -> None:
    """Measure interactive requests alone, and beside a batch of 10,000 that arrives at once."""
    await bench.measure(f"interactive, {RATE:g}/s, alone", _interactive(bench))
    producing = asyncio.create_task(kafka.produce(bench, chat_body(BATCH_MODEL), BATCH, kafka.BATCH_REQUESTS))
    await bench.measure(f"interactive, {RATE:g}/s, beside a batch of {BATCH:,}", _interactive(bench))
    await producing
    await asyncio.sleep(clickhouse.STORE_DELAY_S)
    answered, took_s = clickhouse.count_answered(bench.gateway, BATCH_MODEL)
    bench.notes.append(f"batch of {BATCH:,}: {answered:,} answered within {took_s:.0f} s")


def _interactive(bench: Bench) -> asyncio.Future[Outcome]:
    return asyncio.ensure_future(open_loop(bench.connection, RATE, bench.options.seconds))


async def stall(bench: Bench) -> None:
    """Measure short calls of one provider while requests arrive for another one that never answers."""
    seconds = bench.options.stall
    short = closed_loop(bench.connection, IN_FLIGHT, min(bench.options.seconds, seconds))
    await bench.measure(f"short calls, {IN_FLIGHT} in flight, alone", short)
    body = chat_body(STALLED)
    producing = asyncio.create_task(kafka.produce_steadily(bench, body, STALLED_RATE, seconds, kafka.BATCH_REQUESTS))
    beside = closed_loop(bench.connection, IN_FLIGHT, seconds)
    row = f"short calls, {IN_FLIGHT} in flight, beside a stalled provider, {seconds:g} s, {STALLED_RATE}/s for it"
    await bench.measure(row, beside)
    await producing
    left = await kafka.lag(bench.gateway.kafka, kafka.BATCH_ROUTED, kafka.CALL_GROUP)
    bench.notes.append(
        f"stalled provider: {bench.provider.count_open():,} open calls, {left:,} requests waiting in Kafka"
    )
