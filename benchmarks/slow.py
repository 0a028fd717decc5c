"""Thousands of calls that take long, all at once: what waiting costs, and whether short calls still get through."""

from __future__ import annotations

import asyncio
import contextlib
import time

from benchmarks import clickhouse, kafka
from benchmarks.bench import SLOW, Bench, Row, question
from benchmarks.load import closed
from benchmarks.processes import rss_mb
from benchmarks.workers import call_workers

SHORT_IN_FLIGHT = 50
LOOK_S = 0.1
STORED_WITHIN_S = 60.0
LEAST_S = 1.0
"""Of short calls beside the slow ones, however long those took to begin."""


async def beside_short(bench: Bench) -> None:
    """Short calls alone, and then beside so many slow ones over so many call workers."""
    options = bench.options
    slow = f"{options.calls:,} calls of {options.seconds_per_call:g} s"
    async with call_workers(bench.at, options.workers):
        await closed(bench.connection, SHORT_IN_FLIGHT, min(2.0, options.seconds))  # warm
        alone = await _short(bench, "alone", options.seconds)
        began, idle = time.monotonic(), _call_memory(bench)
        await kafka.put(bench, question(SLOW), options.calls)
        most = await _until_open(bench, began)
        left_s = options.seconds_per_call - (time.monotonic() - began)
        busy = await _short(bench, f"beside {slow}", max(LEAST_S, min(options.seconds, left_s)))
        most = max(most, bench.provider.open())
        loaded = _call_memory(bench)
        answered = await _stored(bench)
    memory = ", ".join(f"{name} {idle[name]:.0f} -> {loaded[name]:.0f} MB" for name in loaded)
    bench.notes.append(
        f"{slow}: {most:,} open at once, {answered:,} answered; {memory}; "
        f"short calls at {100 * busy.rate / alone.rate if alone.rate else 0:.0f} % of their rate alone"
    )


async def _short(bench: Bench, where: str, seconds: float) -> Row:
    load = closed(bench.connection, SHORT_IN_FLIGHT, seconds)
    return await bench.measure(f"short calls, {SHORT_IN_FLIGHT} in flight, {where}", load)


def _call_memory(bench: Bench) -> dict[str, float]:
    return rss_mb({name: pid for name, pid in bench.at.pids.items() if name.startswith("call")})


async def _until_open(bench: Bench, began: float) -> int:
    """Wait until all are at the provider, or the first of them come back; how many there were at most."""
    most = 0
    while time.monotonic() - began < bench.options.seconds_per_call:
        now = bench.provider.open()
        if now < most or now >= bench.options.calls:
            break
        most = now
        await asyncio.sleep(LOOK_S)
    return max(most, now)


async def _stored(bench: Bench) -> int:
    """Wait until all of them are stored as answered; how many are, in the end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(bench.options.seconds_per_call + STORED_WITHIN_S):
            while clickhouse.answered(bench.at, SLOW)[0] < bench.options.calls:
                await asyncio.sleep(1)
    return clickhouse.answered(bench.at, SLOW)[0]
