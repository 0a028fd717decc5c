"""`make bench`: what the gateway adds and what it costs, everything counted. Prints a table."""

from __future__ import annotations

import asyncio
import contextlib
import sys

import uvloop

from benchmarks import clickhouse, table
from benchmarks.arguments import Asked, parse
from benchmarks.bench import SLOW, STALLED, Bench, Options
from benchmarks.gateway import gateway
from benchmarks.load import closed
from benchmarks.loads import LOADS
from benchmarks.provider import Provider, provider

NEVER_S = 3600


def configuration(options: Options, provider_url: str) -> dict[str, object]:
    """Two providers: one within the call worker, one over HTTP; and room for all the slow calls in either worker."""
    room = max(2000, options.calls)
    slow = f"double/echo?latency_ms={options.seconds_per_call * 1000:g}"
    return {
        "providers": {
            "sim": {"kind": "simulated", "max_in_flight": room},
            "double": {"kind": "openai", "base_url": provider_url, "max_in_flight": room},
        },
        "models": {
            SLOW: {"targets": [slow], "timeout_s": options.seconds_per_call * 2 + 60},
            STALLED: {"targets": [f"double/echo?latency_ms={NEVER_S * 1000}"], "timeout_s": NEVER_S},
        },
        "calls_in_flight": 2 * room,  # a provider may hold four fifths of them
        "deadline_s": 600,
    }


async def run(asked: Asked) -> Bench:
    """Put the loads on a fresh gateway, one after the other."""
    with contextlib.ExitStack() as stack:
        double = Provider(asked.provider) if asked.provider else stack.enter_context(provider())
        at = stack.enter_context(gateway(configuration(asked.options, double.url)))
        bench = Bench(at, double, asked.options)
        print(f"bench: warming up, {asked.options.warm:g} s", file=sys.stderr, flush=True)
        await closed(bench.connection, 50, asked.options.warm)
        for name in asked.names:
            print(f"bench: {name}", file=sys.stderr, flush=True)
            await LOADS[name](bench)
        await asyncio.sleep(clickhouse.STORED_S)
        for row in bench.rows:
            row.stored_p99_ms = (
                clickhouse.ingest_p99_ms(at, row.begin_ms, row.end_ms) if "ingress" in row.cpu_ms else None
            )
        return bench


def main() -> None:
    """Run what was asked for and print what was found."""
    asked = parse()
    bench = uvloop.run(run(asked))
    if asked.json:
        print(table.as_json(bench))
    else:
        table.show(bench)


if __name__ == "__main__":
    main()
