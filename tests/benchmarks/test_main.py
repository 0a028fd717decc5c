from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.flow
def test_a_load_of_a_second_gives_a_row_in_which_every_process_counts() -> None:
    command = [sys.executable, "-m", "benchmarks", "--only", "http-100", "--seconds", "1", "--json"]

    run = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True, timeout=150, check=True)

    (row,) = json.loads(run.stdout)["rows"]
    assert row["errors"] == 0
    assert row["rate"] > 0
    assert set(row["cpu_ms"]) == {"broker", "audit", "flow", "call", "ingress"}
    assert row["stored_p99_ms"] > 0
