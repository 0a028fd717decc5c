"""Too much at once: a batch beside those who wait for their answers, and a provider that stalls while work comes in."""

from __future__ import annotations

import asyncio

from benchmarks import clickhouse, kafka
from benchmarks.bench import STALLED, Bench, question
from benchmarks.load import Outcome, closed, opened

BATCH = 10_000
BATCH_MODEL = "sim/echo?latency_ms=200"
RATE = 100.0
"""Of interactive requests beside the batch, per second."""
STALLED_RATE = 200
"""Of requests for the provider that stalls, per second."""
IN_FLIGHT = 50


async def lanes(bench: Bench) -> None:
    """Interactive requests alone, and beside a batch of ten thousand that arrives at once."""
    await bench.measure(f"interactive, {RATE:g}/s, alone", _interactive(bench))
    putting = asyncio.create_task(kafka.put(bench, question(BATCH_MODEL), BATCH, kafka.BATCH_REQUESTS))
    await bench.measure(f"interactive, {RATE:g}/s, beside a batch of {BATCH:,}", _interactive(bench))
    await putting
    await asyncio.sleep(clickhouse.STORED_S)
    answered, took_s = clickhouse.answered(bench.at, BATCH_MODEL)
    bench.notes.append(f"batch of {BATCH:,}: {answered:,} answered, the last one {took_s:.0f} s after the first came")


def _interactive(bench: Bench) -> asyncio.Future[Outcome]:
    return asyncio.ensure_future(opened(bench.connection, RATE, bench.options.seconds))


async def stall(bench: Bench) -> None:
    """Short calls of one provider while work for another, which never answers, comes in all the time."""
    seconds = bench.options.stall
    short = closed(bench.connection, IN_FLIGHT, min(bench.options.seconds, seconds))
    await bench.measure(f"short calls, {IN_FLIGHT} in flight, alone", short)
    body = question(STALLED)
    feeding = asyncio.create_task(kafka.feed(bench, body, STALLED_RATE, seconds, kafka.BATCH_REQUESTS))
    beside = closed(bench.connection, IN_FLIGHT, seconds)
    row = f"the same while a provider stalls for {seconds:g} s, {STALLED_RATE}/s of the batch lane for it"
    await bench.measure(row, beside)
    await feeding
    left = await kafka.waiting(bench.at.kafka, kafka.BATCH_ROUTED, kafka.CALL_GROUP)
    bench.notes.append(f"a provider that stalled: {bench.provider.open():,} calls open there, {left:,} waited in Kafka")
