"""Supervision of a child process, with a short Python program instead of the stages."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streams.supervisor import child_process
from streams.supervisor.child_process import ChildProcess
from tests.eventually import eventually

MakeChild = Callable[[str], ChildProcess]


@pytest.fixture
async def make_child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[MakeChild]:
    monkeypatch.setattr(child_process, "RESTART_BACKOFF_S", (0.01,))
    monkeypatch.setattr(child_process, "STOP_TIMEOUT_S", 0.5)
    children: list[ChildProcess] = []
    watches: list[asyncio.Task[None]] = []

    def create(program: str) -> ChildProcess:
        child = ChildProcess("flow", ("filter",), {**os.environ, "MARK": str(tmp_path / "mark")})
        child._command = [sys.executable, "-c", program]
        children.append(child)
        return child

    yield create
    for child in children:
        await child.stop()
    await asyncio.gather(*watches)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


SLEEPS = "import time; time.sleep(60)"
IGNORES_SIGTERM = (
    "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "pathlib.Path(os.environ['MARK']).touch(); time.sleep(60)"
)
EXITS_AT_END_OF_INPUT = "import sys; sys.stdin.read()"


def test_child_command_runs_the_stages_under_supervision() -> None:
    child = ChildProcess("flow", ("filter", "route"), {"SLUICE_STATE": "/data"})

    assert child._command[1:] == ["-P", "-m", "streams.cli.main", "run", "filter", "route"]
    assert child._environ == {"SLUICE_STATE": "/data", "SLUICE_SUPERVISED": "1", "SLUICE_PROCESS": "flow"}
    assert child.pid is None


async def test_killed_child_is_restarted(make_child: MakeChild) -> None:
    child = make_child(SLEEPS)
    await child.start()
    watch = asyncio.create_task(child.watch())
    first = child.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)

    await eventually(lambda: child.pid not in {None, first})
    assert child.exit_code == -signal.SIGKILL
    await child.stop()
    await asyncio.wait_for(watch, 5)


async def test_child_that_can_not_start_leaves_its_exit_code(make_child: MakeChild) -> None:
    child = make_child("raise SystemExit(3)")
    await child.start()
    watch = asyncio.create_task(child.watch())

    await eventually(lambda: child.exit_code == 3)

    await child.stop()
    watch.cancel()


async def test_stopped_child_is_not_restarted(make_child: MakeChild) -> None:
    child = make_child(SLEEPS)
    await child.start()
    watch = asyncio.create_task(child.watch())
    pid = child.pid
    assert pid is not None

    await child.stop()

    await asyncio.wait_for(watch, 5)
    assert child.pid is None
    assert child.exit_code is None
    assert not is_running(pid)


async def test_child_that_does_not_stop_is_killed(make_child: MakeChild, tmp_path: Path) -> None:
    child = make_child(IGNORES_SIGTERM)
    await child.start()
    pid = child.pid
    assert pid is not None
    await eventually((tmp_path / "mark").exists)

    await asyncio.wait_for(child.stop(), 5)

    assert not is_running(pid)


async def test_child_exits_when_its_standard_input_is_closed(make_child: MakeChild) -> None:
    child = make_child(EXITS_AT_END_OF_INPUT)
    await child.start()
    assert child._process is not None
    assert child._process.stdin is not None

    child._process.stdin.close()

    assert await asyncio.wait_for(child._process.wait(), 5) == 0


async def test_stop_of_a_child_that_never_started_returns_at_once(make_child: MakeChild) -> None:
    await asyncio.wait_for(make_child(SLEEPS).stop(), 1)
