"""Gateway under test: `sluice up` in a temporary directory on free ports."""

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
    """Addresses and processes of the gateway under test."""

    http: str
    kafka: str
    clickhouse: str
    pids: dict[str, int]
    environ: Mapping[str, str]
    """Environment of further processes of it."""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def run_gateway(config: Mapping[str, object]) -> Iterator[Gateway]:
    """Run a gateway with this configuration until the block exits."""
    with tempfile.TemporaryDirectory(prefix="sluice-bench-") as folder:
        file = Path(folder) / "sluice.yaml"
        file.write_text(json.dumps(config), "utf-8")  # JSON is YAML
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
                sys.exit("bench: the gateway did not start; see its messages above")
            addresses = json.loads(line)
            environ["SLUICE_KAFKA"] = addresses["kafka"]
            yield Gateway(addresses["http"], addresses["kafka"], addresses["clickhouse"], addresses["pids"], environ)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)
