"""More call workers beside the gateway's own, as a second machine would bring them."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator

from benchmarks import kafka
from benchmarks.gateway import Gateway

READY_WITHIN_S = 60.0
LOOK_S = 0.2


@contextlib.asynccontextmanager
async def call_workers(at: Gateway, count: int) -> AsyncIterator[None]:
    """So many in all while the block runs; the others are among the gateway's processes, as `call 2` and so on."""
    others = {f"call {number}": _start(at, number) for number in range(2, count + 1)}
    try:
        if others:
            await _until_joined(at, others, count)
        at.pids.update({name: process.pid for name, process in others.items()})
        yield
    finally:
        for name, process in others.items():
            at.pids.pop(name, None)
            process.send_signal(signal.SIGTERM)
        for process in others.values():
            process.wait(30)


def _start(at: Gateway, number: int) -> subprocess.Popen[bytes]:
    environ = {**at.environ, "SLUICE_INSTANCE_ID": f"bench-{number}", "SLUICE_PROCESS": f"call {number}"}
    return subprocess.Popen([sys.executable, "-m", "streams.cli.main", "run", "call"], env=environ)


async def _until_joined(at: Gateway, others: dict[str, subprocess.Popen[bytes]], count: int) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(READY_WITHIN_S):
            while all(process.poll() is None for process in others.values()):
                if await kafka.members(at.kafka, kafka.CALL_GROUP) == count:
                    return
                await asyncio.sleep(LOOK_S)
    sys.exit("bench: another call worker got no partitions; what it said stands above")
