"""Additional call workers, as a second machine would run them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

from benchmarks.gateway import Gateway
from benchmarks.loads import kafka

READY_WITHIN_S = 60.0
POLL_INTERVAL_S = 0.2


@contextlib.asynccontextmanager
async def call_workers(gateway: Gateway, count: int) -> AsyncIterator[None]:
    """Run ``count`` call workers in total; the additional ones are processes `call 2` etc. of the gateway."""
    others = {f"call {number}": _start(gateway, number) for number in range(2, count + 1)}
    try:
        if others:
            await _wait_until_joined(gateway, others, count)
        gateway.pids.update({name: process.pid for name, process in others.items()})
        yield
    finally:
        for name, process in others.items():
            gateway.pids.pop(name, None)
            process.send_signal(signal.SIGTERM)
        for process in others.values():
            process.wait(30)


def _start(gateway: Gateway, number: int) -> subprocess.Popen[bytes]:
    environ = {**gateway.environ, "SLUICE_INSTANCE_ID": f"bench-{number}", "SLUICE_PROCESS": f"call {number}"}
    return subprocess.Popen([sys.executable, "-m", "streams.cli.main", "run", "call"], env=environ)


async def _wait_until_joined(gateway: Gateway, others: dict[str, subprocess.Popen[bytes]], count: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_WITHIN_S):
            while all(process.poll() is None for process in others.values()):
                if await kafka.count_members(gateway.kafka, kafka.CALL_GROUP) == count:
                    return
                await asyncio.sleep(POLL_INTERVAL_S)
    sys.exit("bench: an additional call worker got no partitions; see its messages above")
