"""What `sluice up` does, from its first line of progress to its clean end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from pathlib import Path

import click
from rich.console import Console

from connectors.embedded.localmodel import LocalModel
from streams import screen
from streams.settings import Settings
from streams.supervisor import Supervisor, alone


async def up(settings: Settings, config: Path | None, *, local_model: bool, as_json: bool) -> int:
    """Run until a signal. Exit code 0: everything that was accepted is settled and stored."""
    console = Console(stderr=True, highlight=False)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        stack.enter_context(alone(settings.state))
        status = stack.enter_context(console.status("starting", spinner="dots"))

        def progress(message: str) -> None:
            status.update(message)
            if not console.is_terminal:
                console.print(f"sluice: {message}")

        if local_model:
            model = LocalModel()
            stack.push_async_callback(model.stop)
            await model.start(progress)
        supervisor = Supervisor(settings, config, progress)
        stack.push_async_callback(supervisor.stop)
        starting = asyncio.create_task(supervisor.start())
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
            return 130
        await starting
        status.stop()
        if as_json:
            click.echo(json.dumps(_places(supervisor)))
        else:
            screen.ready(console, supervisor.settings, supervisor.url, supervisor.pids)
        await stopping
        status = stack.enter_context(console.status("stopping: what was accepted is being settled"))
    console.print("sluice: stopped", style="dim")
    return 0


def _places(supervisor: Supervisor) -> dict[str, object]:
    settings = supervisor.settings
    clickhouse = settings.clickhouse.url.rpartition("@")[2] or f"http://127.0.0.1:{settings.clickhouse.port}"
    return {
        "http": supervisor.url,
        "kafka": settings.kafka.bootstrap_servers,
        "clickhouse": clickhouse,
        "state": str(settings.state.resolve()),
        "pids": supervisor.pids,
    }
