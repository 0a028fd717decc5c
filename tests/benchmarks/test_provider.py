from __future__ import annotations

import asyncio
import time

from benchmarks.bench import question
from benchmarks.connection import Connection
from benchmarks.load import closed
from benchmarks.provider import provider


async def test_the_double_answers_at_once_and_counts_those_who_wait() -> None:
    with provider() as double:
        url = f"{double.url}/chat/completions"
        quick = await closed(lambda: Connection(url, question("echo")), 4, 0.1)
        slow = Connection(url, question("echo?latency_ms=1000"))
        began, waiting = time.perf_counter(), asyncio.create_task(slow.ask())
        while not (most := await asyncio.to_thread(double.open)) and not waiting.done():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)

        assert await waiting

        assert time.perf_counter() - began >= 1
        assert (most, await asyncio.to_thread(double.open)) == (1, 0)
        assert quick.latencies_ms
        assert not quick.errors
        slow.close()
