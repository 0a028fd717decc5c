"""The one screen that `sluice up` prints when it is ready: what runs where, and what to try first.

Nothing is drawn around what is meant to be pasted, and no line of it is cut or broken: a terminal wraps it better.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from streams.config.settings import Settings


def print_ready_screen(console: Console, settings: Settings, pids: dict[str, int | None]) -> None:
    """Print it."""
    console.print("\n[bold green]Sluice is ready\n")
    console.print(_places(settings, pids))
    open_to = "" if settings.keys else " (no keys are configured: from this machine alone)"
    for title, code in (
        (f"HTTP, as any OpenAI client{open_to}", curl(settings)),
        ("Kafka, from any service (docs/kafka.md tells how to get the reply)", produce(settings)),
        ("ClickHouse, a row for each request", query()),
    ):
        console.print(f"\n[bold]{title}", soft_wrap=True)
        console.print(code, markup=False, style="cyan", soft_wrap=True)
    console.print("\nCtrl-C stops it; what it stored stays.", style="dim")


def first_model(settings: Settings) -> str:
    """A model name to try: an alias, else the simulated one if there is one."""
    simulated = next((name for name, each in settings.providers.items() if each.kind == "simulated"), "")
    return next(iter(settings.models), f"{simulated}/echo" if simulated else f"{next(iter(settings.providers))}/MODEL")


def curl(settings: Settings) -> str:
    """A first request over HTTP, for a shell."""
    key = '  -H "Authorization: Bearer $SLUICE_KEY" \\\n' if settings.keys else ""
    return (
        f"curl {settings.http.url}/v1/chat/completions \\\n{key}"
        "  -H 'Content-Type: application/json' \\\n"
        f"""  -d '{{"model": "{first_model(settings)}", "messages":\n"""
        """       [{"role": "user", "content": "Hello"}]}'"""
    )


def produce(settings: Settings) -> str:
    """A first request over Kafka, for a shell."""
    topics = settings.topics
    open_to_all = settings.kafka.security.security_protocol == "PLAINTEXT"
    login = "" if open_to_all else "  # and your own login: docs/kafka-security.md"
    topic = next(iter(topics.tenant_requests.values()), topics.requests).name
    return f"""\
{_beside_python("python")} - <<'END'
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
    """A first query, for a shell."""
    sql = "SELECT request_model, outcome, count(),\n  avg(duration_ms) FROM requests GROUP BY ALL"
    return f'{_beside_python("sluice")} query "{sql}"'


def _beside_python(program: str) -> str:
    """How to call what is installed with us: by its name, if the shell finds this one and no other."""
    own = Path(sys.executable).with_name(program)
    if (found := shutil.which(program)) and Path(found) == own:
        return program
    return str(own.relative_to(Path.cwd()) if own.is_relative_to(Path.cwd()) else own)


def _places(settings: Settings, pids: dict[str, int | None]) -> Table:
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
    for name, (place, pid) in rows.items():
        table.add_row(f"[bold]{name}", place, f"[dim]pid {pid}" if pid else "")
    return table
