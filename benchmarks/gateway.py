"""A gateway of the benchmark's own: `sluice up` in a fresh directory on free ports, and what its processes cost."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True, slots=True)
class Cost:
    """CPU seconds and resident megabytes of each process."""

    cpu_s: dict[str, float]
    rss_mb: dict[str, float]

    def since(self, before: Cost) -> dict[str, float]:
        """CPU seconds spent since then, by process."""
        return {name: self.cpu_s[name] - before.cpu_s.get(name, 0.0) for name in self.cpu_s}


@dataclass(frozen=True, slots=True)
class Gateway:
    """Where it is."""

    http: str
    kafka: str
    clickhouse: str
    pids: dict[str, int]

    def cost(self) -> Cost:
        """What each process has used until now."""
        cpu, rss = {}, {}
        for name, pid in self.pids.items():
            process = psutil.Process(pid)
            times = process.cpu_times()
            cpu[name] = times.user + times.system
            rss[name] = process.memory_info().rss / 1e6
        return Cost(cpu, rss)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def gateway(config: str = "") -> Iterator[Gateway]:
    """Run one, with this configuration (YAML), until the block ends."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        file = Path(folder) / "sluice.yaml"
        file.write_text(config or "{}", "utf-8")
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
            yield Gateway(places["http"], places["kafka"], places["clickhouse"], places["pids"])
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
