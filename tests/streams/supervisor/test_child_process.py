"""A process of stages, with a program of the test's own in its place."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from streams.supervisor import child_process as child
from streams.supervisor.child_process import ChildProcess
from tests.eventually import eventually

Made = Callable[[str], ChildProcess]


@pytest.fixture
async def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Made]:
    monkeypatch.setattr(child, "RESTART_BACKOFF_S", (0.01,))
    monkeypatch.setattr(child, "STOP_TIMEOUT_S", 0.5)
    made: list[ChildProcess] = []
    watches: list[asyncio.Task[None]] = []

    def make_one(program: str) -> ChildProcess:
        one = ChildProcess("flow", ("filter",), {**os.environ, "MARK": str(tmp_path / "mark")})
        one._command = [sys.executable, "-c", program]
        made.append(one)
        return one

    yield make_one
    for one in made:
        await one.stop()
    await asyncio.gather(*watches)


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


SLEEPS = "import time; time.sleep(60)"
STUBBORN = (
    "import os, pathlib, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    "pathlib.Path(os.environ['MARK']).touch(); time.sleep(60)"
)
ENDS_WITH_US = "import sys; sys.stdin.read()"


def test_child_command_runs_the_stages_under_supervision() -> None:
    one = ChildProcess("flow", ("filter", "route"), {"SLUICE_STATE": "/data"})

    assert one._command[1:] == ["-P", "-m", "streams.cli.main", "run", "filter", "route"]
    assert one._environ == {"SLUICE_STATE": "/data", "SLUICE_SUPERVISED": "1", "SLUICE_PROCESS": "flow"}
    assert one.pid is None


async def test_killed_child_is_restarted(make: Made) -> None:
    one = make(SLEEPS)
    await one.start()
    watch = asyncio.create_task(one.watch())
    first = one.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)

    await eventually(lambda: one.pid not in {None, first})
    assert one.exit_code == -signal.SIGKILL
    await one.stop()
    await asyncio.wait_for(watch, 5)


async def test_child_that_can_not_start_leaves_its_exit_code(make: Made) -> None:
    one = make("raise SystemExit(3)")
    await one.start()
    watch = asyncio.create_task(one.watch())

    await eventually(lambda: one.exit_code == 3)

    await one.stop()
    watch.cancel()


async def test_stopped_child_is_not_restarted(make: Made) -> None:
    one = make(SLEEPS)
    await one.start()
    watch = asyncio.create_task(one.watch())
    pid = one.pid
    assert pid is not None

    await one.stop()

    await asyncio.wait_for(watch, 5)
    assert one.pid is None
    assert one.exit_code is None
    assert not lives(pid)


async def test_child_that_does_not_stop_is_killed(make: Made, tmp_path: Path) -> None:
    one = make(STUBBORN)
    await one.start()
    pid = one.pid
    assert pid is not None
    await eventually((tmp_path / "mark").exists)

    await asyncio.wait_for(one.stop(), 5)

    assert not lives(pid)


async def test_child_exits_when_its_standard_input_is_closed(make: Made) -> None:
    one = make(ENDS_WITH_US)
    await one.start()
    assert one._process is not None
    assert one._process.stdin is not None

    one._process.stdin.close()

    assert await asyncio.wait_for(one._process.wait(), 5) == 0


async def test_stop_of_a_child_that_never_started_returns_at_once(make: Made) -> None:
    await asyncio.wait_for(make(SLEEPS).stop(), 1)
