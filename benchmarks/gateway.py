"""A gateway of the benchmark's own: `sluice up` in a fresh directory on free ports."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


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
            [sys.executable, "-m", "streams.cli.main", "up", "--json"], env=environ, stdout=subprocess.PIPE, text=True
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
