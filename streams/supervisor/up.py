"""`sluice up`: progress lines, the ready screen, and the stop on a signal."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path

import click
from rich.console import Console

from connectors.kafka import patches
from connectors.local_model import LocalModel
from streams.config.settings import Settings
from streams.supervisor import ready_screen as screen
from streams.supervisor.preflight import state_lock
from streams.supervisor.supervisor import Supervisor

INTERRUPTED = 130
"""Exit code after Ctrl-C before the gateway was ready."""

PROGRESS_INTERVAL_S = 10.0
"""Interval between progress lines of one step, without a terminal."""


async def up(settings: Settings, config: Path | None, *, local_model: bool, as_json: bool) -> int:
    """Run until a signal, and return the exit code.

    0: everything stopped in order; unfinished requests are in Kafka and resume at the next start.
    """
    patches.apply()
    console = Console(stderr=True, highlight=False)
    stop = _stop_on_signal()
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(state_lock(settings.state))
        with _progress(console) as progress:
            if local_model:
                model = LocalModel()
                stack.push_async_callback(model.stop)
                if not await _run_until_signal(stop, model.start(progress)):
                    return INTERRUPTED
            supervisor = Supervisor(settings, config, progress)
            stack.push_async_callback(_stop, supervisor, console)
            if not await _run_until_signal(stop, supervisor.start()):
                return INTERRUPTED
        if as_json:
            click.echo(json.dumps(_addresses(supervisor)))
        else:
            screen.print_ready_screen(console, supervisor.settings, supervisor.pids)
        await stop.wait()
    console.print("sluice: stopped; unfinished requests resume at the next start", style="dim")
    return 0


def _stop_on_signal() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


@contextlib.contextmanager
def _progress(console: Console, clock: Callable[[], float] = time.monotonic) -> Iterator[Callable[[str], None]]:
    """Show progress: on a terminal one line that changes, else one line per step and one per interval within a step.

    The step is the part of a message before its colon.
    """
    printed: set[str] = set()
    due_s = 0.0
    with console.status("starting", spinner="dots") as status:

        def progress(message: str) -> None:
            nonlocal due_s
            status.update(message)
            if console.is_terminal:
                return
            step = message.partition(": ")[0]
            if message not in printed and (step not in printed or clock() >= due_s):
                console.print(f"sluice: {message}", markup=False, soft_wrap=True)
                due_s = clock() + PROGRESS_INTERVAL_S
            printed.update((step, message))

        yield progress


async def _run_until_signal(stop: asyncio.Event, starting: Coroutine[object, object, None]) -> bool:
    """Return whether the start finished before the signal to stop."""
    start, stopped = asyncio.ensure_future(starting), asyncio.ensure_future(stop.wait())
    await asyncio.wait([start, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if start.done():
        await start
        return True
    start.cancel()
    await asyncio.wait([start])
    return False


async def _stop(supervisor: Supervisor, console: Console) -> None:
    with console.status("stopping: finishing requests in progress"):
        await supervisor.stop()


def _addresses(supervisor: Supervisor) -> dict[str, object]:
    settings = supervisor.settings
    return {
        "http": settings.http.url,
        "kafka": settings.kafka.bootstrap_servers,
        "clickhouse": settings.clickhouse.location,
        "state": str(settings.state.resolve()),
        "pids": supervisor.pids,
    }
