"""Checks before the first query: files that another process has open, and a server that does not respond."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import httpx

from connectors.clickhouse.errors import ClickHouseError

ALIVE_TIMEOUT_S = 5
"""Timeout of the ping in seconds, much shorter than that of a query."""


def is_locked_by_another_process(path: Path) -> bool:
    """Return whether another process has the engine open there. The engine itself would print this on the terminal.

    The engine locks the file ``status`` and writes its process id into it.
    """
    try:
        with (path / "status").open("rb") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return f"PID: {os.getpid()}" not in status.read().decode().splitlines()
    except OSError:  # the file does not exist yet, or the engine reports the fault
        return False
    return False


def check_alive(address: str) -> None:
    """Check that the server responds to a ping in time. The driver reports all other errors.

    Raises:
        ClickHouseError: the server accepts connections but does not respond (unavailable).

    """
    try:
        httpx.get(f"{address}/ping", timeout=ALIVE_TIMEOUT_S)
    except httpx.TimeoutException:
        raise ClickHouseError(
            f"ClickHouse at {address} can't be reached: no response within {ALIVE_TIMEOUT_S} s", unavailable=True
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        return
