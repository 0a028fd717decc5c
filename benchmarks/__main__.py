"""`make bench`: measure the latency that the gateway adds, its throughput and its CPU and memory, and print tables."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop

from benchmarks import clickhouse, table
from benchmarks.arguments import Arguments, parse
from benchmarks.bench import SLOW, STALLED, Bench, Options
from benchmarks.gateway import run_gateway
from benchmarks.load import closed_loop
from benchmarks.loads.catalog import LOADS
from benchmarks.provider import ProviderAddress, run_provider

NEVER_S = 3600


def configuration(options: Options, provider_url: str) -> dict[str, object]:
    """Return a configuration with a provider inside the call worker and one over HTTP; limits admit all slow calls."""
    limit = max(2000, options.calls)
    slow = f"double/echo?latency_ms={options.seconds_per_call * 1000:g}"
    return {
        "providers": {
            "sim": {"kind": "simulated", "max_in_flight": limit},
            "double": {"kind": "openai", "base_url": provider_url, "max_in_flight": limit},
        },
        "models": {
            SLOW: {"targets": [slow], "timeout_s": options.seconds_per_call * 2 + 60},
            STALLED: {"targets": [f"double/echo?latency_ms={NEVER_S * 1000}"], "timeout_s": NEVER_S},
        },
        "calls_in_flight": 2 * limit,  # one provider may use four fifths of them
        "deadline_s": 600,
    }


async def run(arguments: Arguments) -> Bench:
    """Run the loads on a new gateway, one after another."""
    with contextlib.ExitStack() as stack:
        provider = ProviderAddress(arguments.provider) if arguments.provider else stack.enter_context(run_provider())
        running = stack.enter_context(run_gateway(configuration(arguments.options, provider.url)))
        bench = Bench(running, provider, arguments.options)
        print(f"bench: warming up, {arguments.options.warm:g} s", file=sys.stderr, flush=True)
        await closed_loop(bench.connection, 50, arguments.options.warm)
        for name in arguments.names:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            await LOADS[name](bench)
        await asyncio.sleep(clickhouse.STORE_DELAY_S)
        for row in bench.rows:
            row.stored_p99_ms = (
                clickhouse.ingest_p99_ms(running, row.begin_ms, row.end_ms) if "ingress" in row.cpu_ms else None
            )
        return bench


def main() -> None:
    """Run the loads that the command line names, and print the results."""
    arguments = parse()
    bench = uvloop.run(run(arguments))
    if arguments.json:
        print(table.as_json(bench))
    else:
        table.show(bench)


if __name__ == "__main__":
    main()
