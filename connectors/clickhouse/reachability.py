"""Whether anybody is there at all: files that another process has, a server that says nothing."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import httpx

from connectors.clickhouse.errors import ClickHouseError

ALIVE_TIMEOUT_S = 5
"""How long a server may take to say that it is there, before a query is given its long time."""


def is_locked_by_another_process(path: Path) -> bool:
    """Whether another process has the engine open there. The engine itself would say so on our terminal, in its words.

    It locks this file and writes its process into it.
    """
    try:
        with (path / "status").open("rb") as status:
            try:
                fcntl.flock(status, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return f"PID: {os.getpid()}" not in status.read().decode().splitlines()
    except OSError:  # there was none yet, or the engine finds what is wrong
        return False
    return False


def check_alive(place: str) -> None:
    """See that whoever listens there says anything at all. What else may be wrong, the driver finds and says."""
    try:
        httpx.get(f"{place}/ping", timeout=ALIVE_TIMEOUT_S)
    except httpx.TimeoutException:
        raise ClickHouseError(
            f"ClickHouse at {place} can't be reached: it says nothing for {ALIVE_TIMEOUT_S} s", unavailable=True
        ) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        return
