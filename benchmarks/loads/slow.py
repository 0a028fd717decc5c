"""Thousands of concurrent slow calls: their memory, and the rate of short calls beside them."""

from __future__ import annotations

import asyncio
import contextlib
import time

from benchmarks import clickhouse
from benchmarks.bench import SLOW, Bench, Row, chat_body
from benchmarks.load import closed_loop
from benchmarks.loads import kafka
from benchmarks.processes import rss_mb
from benchmarks.workers import call_workers

SHORT_IN_FLIGHT = 50
POLL_INTERVAL_S = 0.1
STORED_WITHIN_S = 60.0
MIN_S = 1.0
"""Minimum duration of the short calls beside the slow ones."""


async def beside_short(bench: Bench) -> None:
    """Measure short calls alone, and then beside the slow ones."""
    options = bench.options
    slow = f"{options.calls:,} calls of {options.seconds_per_call:g} s"
    async with call_workers(bench.gateway, options.workers):
        await closed_loop(bench.connection, SHORT_IN_FLIGHT, min(2.0, options.seconds))  # warm up
        alone = await _short(bench, "alone", options.seconds)
        started, idle = time.monotonic(), _call_memory(bench)
        await kafka.produce(bench, chat_body(SLOW), options.calls)
        peak = await _wait_until_open(bench, started)
        left_s = options.seconds_per_call - (time.monotonic() - started)
        busy = await _short(bench, f"beside {slow}", max(MIN_S, min(options.seconds, left_s)))
        peak = max(peak, bench.provider.count_open())
        loaded = _call_memory(bench)
        answered = await _wait_until_stored(bench)
    memory = ", ".join(f"{name} {idle[name]:.0f} -> {loaded[name]:.0f} MB" for name in loaded)
    bench.notes.append(
        f"{slow}: {peak:,} open at once, {answered:,} answered; {memory}; "
        f"short calls at {100 * busy.rate / alone.rate if alone.rate else 0:.0f} % of their rate alone"
    )


async def _short(bench: Bench, condition: str, seconds: float) -> Row:
    load = closed_loop(bench.connection, SHORT_IN_FLIGHT, seconds)
    return await bench.measure(f"short calls, {SHORT_IN_FLIGHT} in flight, {condition}", load)


def _call_memory(bench: Bench) -> dict[str, float]:
    return rss_mb({name: pid for name, pid in bench.gateway.pids.items() if name.startswith("call")})


async def _wait_until_open(bench: Bench, started: float) -> int:
    """Wait until all calls are at the provider or the first ones return; return their maximum number."""
    peak = 0
    while time.monotonic() - started < bench.options.seconds_per_call:
        now = bench.provider.count_open()
        if now < peak or now >= bench.options.calls:
            break
        peak = now
        await asyncio.sleep(POLL_INTERVAL_S)
    return max(peak, now)


async def _wait_until_stored(bench: Bench) -> int:
    """Wait until all are stored as answered; return their number."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(bench.options.seconds_per_call + STORED_WITHIN_S):
            while clickhouse.count_answered(bench.gateway, SLOW)[0] < bench.options.calls:
                await asyncio.sleep(1)
    return clickhouse.count_answered(bench.gateway, SLOW)[0]
