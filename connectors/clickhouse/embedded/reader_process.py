"""The process that answers on ClickHouse's port: it restricts itself, opens the tables to read, and serves.

The audit process starts it with an empty environment and passes its listening socket. Its standard input tells what to
serve, in one line of JSON; when the input ends, the parent is gone and this process exits. It reports on its standard
output, in one line of JSON once it serves.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import signal
import socket
import sys
import sysconfig
import threading
from pathlib import Path
from typing import Any

import connectors
import schemas
from connectors.clickhouse.embedded import sandbox
from connectors.clickhouse.embedded.replica import create_replica

_SYSTEM_FILES = (
    *("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo"),
    "/proc/self",  # the engine's library looks for its stack in the maps; its environment is empty
    # the size of the machine or container
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys/vm", "/sys/devices/system", "/sys/fs/cgroup"),
    "/sys/kernel/mm/transparent_hugepage",
)


def main() -> None:
    """Run until the parent closes our standard input or sends SIGTERM."""
    spec: dict[str, Any] = json.loads(sys.stdin.readline())
    folder, source = Path(spec["folder"]), Path(spec["source"])
    path, options = create_replica(folder, source, spec["database"])
    restrictions = sandbox.confine([*readable_paths(), source], [folder])
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    asyncio.run(_serve(spec, path, options, restrictions))
    os._exit(0)  # the engine would tidy up its folder, which it may not; the parent removes it


async def _serve(spec: dict[str, Any], path: Path, options: dict[str, str], restrictions: sandbox.Restrictions) -> None:
    # imported here, because the engine's library starts a thread when it is loaded
    from connectors.clickhouse.embedded.http_endpoint import ClickHouseHttp, make_server  # noqa: PLC0415

    http = await asyncio.to_thread(ClickHouseHttp, path, spec["database"], options, spec["readers"])
    server = make_server(http)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, lambda: None)  # until the server has its own
    await asyncio.to_thread(http.warm_up)
    sandbox.forbid_changes()
    sys.stdout.write(json.dumps(dataclasses.asdict(restrictions)) + "\n")
    sys.stdout.flush()
    await server.serve([socket.socket(fileno=spec["socket"])])


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


def readable_paths() -> list[Path]:
    """Return the files beside the data that the process may read: code that may still be loaded, and machine facts."""
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = [Path(sysconfig.get_path(name)) for name in names]
    ours = [Path(str(package.__file__)).parent for package in (connectors, schemas)]
    return [*installed, *ours, *map(Path, _SYSTEM_FILES)]


if __name__ == "__main__":
    main()
