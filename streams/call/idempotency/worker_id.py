"""Worker ids, and the check whether the worker of an id has exited: its open attempts are then in doubt at once."""

from __future__ import annotations

import os
import time

_STARTED_AT = f"{time.time_ns() // 1_000_000:x}"


def current_worker_id() -> str:
    """Return the id of this process, which is never used again: host name, process id and start time."""
    return f"{os.uname().nodename}/{os.getpid()}/{_STARTED_AT}"


def is_dead(worker: str) -> bool:
    """Return whether that process has certainly exited. On other machines that is unknown, and the result False."""
    node, _, process = worker.partition("/")
    pid, _, started_at = process.partition("/")
    if node != os.uname().nodename or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return started_at != _STARTED_AT
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
