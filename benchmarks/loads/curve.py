"""Latency and CPU as the load grows, for Sluice and for every peer in one run: idle, open loop, closed loop.

Most gateways live between 1 and 200 requests per second, where a request pays alone for every wake-up and every call of
the operating system. Figures at saturation say nothing about that.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from benchmarks.bench import Bench, chat_body
from benchmarks.connection import Connection
from benchmarks.load import closed_loop, open_loop
from benchmarks.loads.peers import connect_peer
from benchmarks.processes import cpu_s

RATES = (2, 10, 50, 100, 200, 400)
"""Requests per second, at random times (Poisson arrivals)."""
IN_FLIGHT = (1, 10, 50, 200)
WARM_S = 5.0


async def curve(bench: Bench) -> None:
    """Measure Sluice and every peer at each load, one gateway after the other."""
    ours = Connection(f"{bench.gateway.http}/v1/chat/completions", chat_body("double/echo"))
    await _measure_all(bench, "Sluice", ours.clone, bench.gateway.pids)
    for peer in bench.options.peers:
        pids = {} if peer.pid is None else {peer.name: peer.pid}
        await _measure_all(bench, peer.name, connect_peer(bench, peer).clone, pids)


async def _measure_all(bench: Bench, name: str, connect: Callable[[], Connection], pids: dict[str, int]) -> None:
    seconds = bench.options.seconds
    await closed_loop(connect, 50, min(WARM_S, seconds))
    before = cpu_s(pids)
    await asyncio.sleep(seconds)
    used_s = sum(cpu_s(pids).values()) - sum(before.values())
    bench.notes.append(f"{name}, idle: {100 * used_s / seconds:.1f} % of a core")
    for rate in RATES:
        gaps = random.Random(rate)

        def gap(rate: int = rate, gaps: random.Random = gaps) -> float:
            return gaps.expovariate(rate)

        await bench.measure(f"{name}, open loop, {rate}/s", open_loop(connect, rate, seconds, gap=gap), pids)
    for in_flight in IN_FLIGHT:
        load = closed_loop(connect, in_flight, seconds)
        await bench.measure(f"{name}, closed loop, {in_flight} in flight", load, pids)
