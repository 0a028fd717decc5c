"""CPU and resident memory of processes, as the operating system counts them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import psutil


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the CPU seconds of each, user and system, children included."""
    return {name: _tree_s(psutil.Process(pid)) for name, pid in pids.items()}


def _tree_s(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # the parent's times include children that have exited
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_mb(pids: Mapping[str, int]) -> dict[str, float]:
    """Return the resident megabytes of each."""
    return {name: psutil.Process(pid).memory_info().rss / 1e6 for name, pid in pids.items()}


@contextlib.asynccontextmanager
async def sampled_memory(pids: Mapping[str, int], every_s: float) -> AsyncIterator[list[dict[str, float]]]:
    """Sample the resident memory at the start, every ``every_s`` seconds, and at the end of the block."""
    samples = [rss_mb(pids)]

    async def sample() -> None:
        while True:
            await asyncio.sleep(every_s)
            samples.append(rss_mb(pids))

    sampling = asyncio.create_task(sample())
    try:
        yield samples
    finally:
        sampling.cancel()
        samples.append(rss_mb(pids))
