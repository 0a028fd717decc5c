"""A gateway of the benchmark's own: `sluice up` in a fresh directory on free ports, and more call workers beside it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

READY_WITHIN_S = 60.0
ASSIGNED = re.compile(r'^sluice_worker_partitions\{stage="call"\} ([1-9])', re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where it is, and its processes by name."""

    http: str
    kafka: str
    clickhouse: str
    pids: dict[str, int]
    environ: Mapping[str, str]
    """What another process of it needs to know."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def gateway(config: Mapping[str, object]) -> Iterator[Gateway]:
    """Run one with this configuration until the block ends."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        file = Path(folder) / "sluice.yaml"
        file.write_text(json.dumps(config), "utf-8")  # which is YAML too
        environ = {
            **os.environ,
            "SLUICE_CONFIG": str(file),
            "SLUICE_STATE": f"{folder}/state",
            "SLUICE_HTTP_PORT": str(free_port()),
            "SLUICE_KAFKA_PORT": str(free_port()),
            "SLUICE_CLICKHOUSE_PORT": str(free_port()),
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "streams.cli", "up", "--json"], env=environ, stdout=subprocess.PIPE, text=True
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                sys.exit("bench: the gateway did not start; what it said stands above")
            places = json.loads(line)
            environ["SLUICE_KAFKA"] = places["kafka"]
            yield Gateway(places["http"], places["kafka"], places["clickhouse"], places["pids"], environ)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)


@contextlib.contextmanager
def more_call_workers(at: Gateway, count: int) -> Iterator[None]:
    """Run so many more beside the gateway's own, as a second machine would; each has partitions when the block begins.

    They are among the gateway's processes meanwhile, as `call 2` and so on.
    """
    with contextlib.ExitStack() as stack:
        for number in range(2, count + 2):
            stack.enter_context(_call_worker(at, f"call {number}"))
        yield


@contextlib.contextmanager
def _call_worker(at: Gateway, name: str) -> Iterator[None]:
    port = free_port()
    own = {"SLUICE_INSTANCE_ID": f"bench-{name.replace(' ', '-')}", "SLUICE_HEALTH_PORT": str(port)}
    process = subprocess.Popen([sys.executable, "-m", "streams.cli", "run", "call"], env={**at.environ, **own})
    try:
        _until_assigned(port, process)
        at.pids[name] = process.pid
        yield
    finally:
        at.pids.pop(name, None)
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _until_assigned(port: int, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        with (
            contextlib.suppress(OSError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page,
        ):
            if ASSIGNED.search(page.read().decode()):
                return
        time.sleep(0.2)
    sys.exit("bench: another call worker got no partition; what it said stands above")
