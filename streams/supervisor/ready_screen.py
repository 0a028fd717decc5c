"""Ready screen of `sluice up`: addresses, process ids, and commands to try first.

The commands have no frame and their lines are never cut or wrapped, so that they can be copied.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streams.config.settings import Settings


def print_ready_screen(console: Console, settings: Settings, pids: dict[str, int | None]) -> None:
    """Print the screen."""
    console.print("\n[bold green]Sluice is ready\n")
    console.print(_addresses(settings, pids))
    open_to = "" if settings.keys else " (no keys configured: localhost only)"
    for title, code in (
        (f"HTTP, with any OpenAI client{open_to}", curl(settings)),
        ("Kafka, from any service (docs/kafka.md shows how to get the reply)", produce(settings)),
        ("ClickHouse, one row per request", query()),
    ):
        console.print(f"\n[bold]{title}", soft_wrap=True)
        console.print(code, markup=False, style="cyan", soft_wrap=True)
    console.print("\nCtrl-C to stop; data is kept.", style="dim")


def first_model(settings: Settings) -> str:
    """Return a model name to try: a configured model, else a simulated one if there is one."""
    simulated = next((name for name, each in settings.providers.items() if each.kind == "simulated"), "")
    return next(iter(settings.models), f"{simulated}/echo" if simulated else f"{next(iter(settings.providers))}/MODEL")


def curl(settings: Settings) -> str:
    """Return a shell command that sends a request over HTTP."""
    key = '  -H "Authorization: Bearer $SLUICE_KEY" \\\n' if settings.keys else ""
    return (
        f"curl {settings.http.url}/v1/chat/completions \\\n{key}"
        "  -H 'Content-Type: application/json' \\\n"
        f"""  -d '{{"model": "{first_model(settings)}", "messages":\n"""
        """       [{"role": "user", "content": "Hello"}]}'"""
    )


def produce(settings: Settings) -> str:
    """Return a shell command that sends a request over Kafka."""
    topics = settings.topics
    is_plaintext = settings.kafka.security.security_protocol == "PLAINTEXT"
    login = "" if is_plaintext else "  # and your credentials: docs/kafka-security.md"
    topic = next(iter(topics.tenant_requests.values()), topics.requests).name
    return f"""\
{_command_for("python")} - <<'END'
import asyncio, json
from aiokafka import AIOKafkaProducer

async def main():
    body = {{"model": "{first_model(settings)}", "messages":
            [{{"role": "user", "content": "Hello"}}]}}
    producer = AIOKafkaProducer(bootstrap_servers="{settings.kafka.bootstrap_servers}"{login})
    async with producer:
        record = json.dumps(body).encode()
        await producer.send_and_wait("{topic}", record)

asyncio.run(main())
END"""


def query() -> str:
    """Return a shell command that queries ClickHouse."""
    sql = "SELECT request_model, outcome, count(),\n  avg(duration_ms) FROM requests GROUP BY ALL"
    return f'{_command_for("sluice")} query "{sql}"'


def _command_for(program: str) -> str:
    """Return the command for a program of this environment: its name if the shell finds it there, else its path."""
    own = Path(sys.executable).with_name(program)
    if (found := shutil.which(program)) and Path(found) == own:
        return program
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def _addresses(settings: Settings, pids: dict[str, int | None]) -> Table:
    table = Table.grid(padding=(0, 2))
    rows = {
        "HTTP": (settings.http.url, pids.get("ingress")),
        "Kafka": (settings.kafka.bootstrap_servers, pids.get("broker")),
        "ClickHouse": (f"{settings.clickhouse.location} (database {settings.clickhouse.database})", pids.get("audit")),
        "stages": ("filter route reply", pids.get("flow")),
        "": ("call", pids.get("call")),
        "data": (str(settings.state.resolve()), None),
    }
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    for name, (address, pid) in rows.items():
        table.add_row(f"[bold]{name}", address, f"[dim]pid {pid}" if pid else "")
    return table
