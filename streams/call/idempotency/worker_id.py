"""Who a worker is, and whether another one is certainly gone: what it left running is then in doubt at once."""

from __future__ import annotations

import os
import time

_STARTED_AT = f"{time.time_ns() // 1_000_000:x}"


def current_worker_id() -> str:
    """The name of this process among all that ever were: machine, process id, and when it began."""
    return f"{os.uname().nodename}/{os.getpid()}/{_STARTED_AT}"


def is_dead(worker: str) -> bool:
    """Whether that process has ended. Only known of those on this machine; of others the answer is always no."""
    node, _, process = worker.partition("/")
    pid, _, born = process.partition("/")
    if node != os.uname().nodename or not pid.isdigit():
        return False
    if int(pid) == os.getpid():
        return born != _STARTED_AT
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
