"""Tests of the provider provider."""

from __future__ import annotations

import asyncio
import time

from benchmarks.bench import chat_body
from benchmarks.connection import Connection
from benchmarks.load import closed_loop
from benchmarks.provider import run_provider


async def test_provider_answers_after_the_latency_and_counts_open_calls() -> None:
    with run_provider() as provider:
        url = f"{provider.url}/chat/completions"
        quick = await closed_loop(lambda: Connection(url, chat_body("echo")), 4, 0.1)
        slow = Connection(url, chat_body("echo?latency_ms=1000"))
        started, waiting = time.perf_counter(), asyncio.create_task(slow.send())
        while not (most := await asyncio.to_thread(provider.count_open)) and not waiting.done():  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)

        assert await waiting

        assert time.perf_counter() - started >= 1
        assert (most, await asyncio.to_thread(provider.count_open)) == (1, 0)
        assert quick.latencies_ms
        assert not quick.errors
        slow.close()
