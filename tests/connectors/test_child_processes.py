from __future__ import annotations

import asyncio
import signal
import sys

from connectors.child_processes import stop_process

IGNORES_SIGTERM = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
time.sleep(60)
"""


async def start(code: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)


async def test_stopped_process_exits_by_sigterm() -> None:
    process = await start("import time; time.sleep(60)")

    assert await stop_process(process, 10)

    assert process.returncode == -signal.SIGTERM


async def test_process_that_ignores_sigterm_is_killed_after_the_timeout() -> None:
    process = await start(IGNORES_SIGTERM)
    assert process.stdout is not None
    await process.stdout.readline()

    assert not await stop_process(process, 0.1)

    assert process.returncode == -signal.SIGKILL


async def test_process_that_has_exited_is_left_alone() -> None:
    process = await start("raise SystemExit(3)")
    await process.wait()

    assert await stop_process(process, 1)

    assert process.returncode == 3
