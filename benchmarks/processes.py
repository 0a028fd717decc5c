"""What processes cost: CPU and resident memory, by the operating system's own accounts."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import psutil


def cpu_s(pids: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds, user and system, that each has used until now, together with its children."""
    return {name: _tree_s(psutil.Process(pid)) for name, pid in pids.items()}


def _tree_s(process: psutil.Process) -> float:
    total = 0.0
    for one in (process, *process.children(recursive=True)):
        with contextlib.suppress(psutil.NoSuchProcess):  # a child that ends is in its parent's account of children
            times = one.cpu_times()
            total += times.user + times.system + times.children_user + times.children_system
    return total


def rss_mb(pids: Mapping[str, int]) -> dict[str, float]:
    """Resident megabytes of each."""
    return {name: psutil.Process(pid).memory_info().rss / 1e6 for name, pid in pids.items()}


@contextlib.asynccontextmanager
async def watched(pids: Mapping[str, int], every_s: float) -> AsyncIterator[list[dict[str, float]]]:
    """Look at the resident memory at the begin, every so often, and at the end of the block."""
    seen = [rss_mb(pids)]

    async def look() -> None:
        while True:
            await asyncio.sleep(every_s)
            seen.append(rss_mb(pids))

    looking = asyncio.create_task(look())
    try:
        yield seen
    finally:
        looking.cancel()
        seen.append(rss_mb(pids))
