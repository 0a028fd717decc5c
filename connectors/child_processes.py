"""Shutdown of child processes: SIGTERM first, SIGKILL after a timeout."""

from __future__ import annotations

import asyncio


async def stop_process(process: asyncio.subprocess.Process, timeout_s: float) -> bool:
    """Send SIGTERM, and SIGKILL if the process has not exited within ``timeout_s`` seconds; return once it has exited.

    Returns:
        True if the process exited in time, False if it was killed.

    """
    if process.returncode is not None:
        return True
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), timeout_s)
    except TimeoutError:
        process.kill()
        await process.wait()
        return False
    return True
