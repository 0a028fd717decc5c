from __future__ import annotations

import asyncio

from connectors.kafka.clients.append_order import AppendLocks
from tests.eventually import eventually


async def test_lock_serializes_one_partition_and_not_others() -> None:
    lines, seen = AppendLocks(), []
    first_may_go = asyncio.Event()

    async def write(number: int, partition: int | None) -> None:
        async with lines.acquire("topic", partition):
            if number == 0:
                await first_may_go.wait()
            seen.append(number)

    writing = [asyncio.create_task(write(number, partition)) for number, partition in ((0, 1), (1, 1), (2, 1), (3, 2))]
    await eventually(lambda: seen)
    first_may_go.set()
    await asyncio.gather(*writing)

    assert seen == [3, 0, 1, 2]


async def test_unused_lock_is_removed() -> None:
    lines = AppendLocks()

    for number in range(100):
        async with lines.acquire(f"caller-{number}", None):
            held = len(lines)

    assert held == 1
    assert len(lines) == 0
