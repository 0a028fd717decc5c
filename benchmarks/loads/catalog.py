"""Loads by name, in the order in which they run."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

from benchmarks.bench import Bench
from benchmarks.load import closed_loop, open_loop
from benchmarks.loads import kafka, overload, slow, streaming
from benchmarks.loads.curve import curve
from benchmarks.loads.peers import compare

Load = Callable[[Bench], Awaitable[None]]


def _http_closed(in_flight: int) -> Load:
    async def run(bench: Bench) -> None:
        load = closed_loop(bench.connection, in_flight, bench.options.seconds)
        await bench.measure(f"HTTP closed loop, {in_flight} in flight", load)

    return run


def _http_open(rate: int) -> Load:
    async def run(bench: Bench) -> None:
        await bench.measure(f"HTTP open loop, {rate}/s", open_loop(bench.connection, rate, bench.options.seconds))

    return run


async def _run_sustained(bench: Bench) -> None:
    seconds = bench.options.sustained
    load = closed_loop(bench.connection, 200, seconds)
    await bench.measure(f"HTTP closed loop, 200 in flight, sustained for {seconds:g} s", load)


LOADS: Mapping[str, Load] = {
    "http-1": _http_closed(1),
    "http-100": _http_closed(100),
    "http-open": _http_open(200),
    "kafka-1": kafka.one_in_flight,
    "compare": compare,
    "curve": curve,
    "streams": streaming.spread,
    "streams-burst": streaming.burst,
    "slow": slow.beside_short,
    "lanes": overload.lanes,
    "sustained": _run_sustained,
    "stall": overload.stall,
}
ON_DEMAND = frozenset({"curve", "sustained", "stall"})
"""Loads that run only if the command line names them or their duration."""
