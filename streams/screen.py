"""The one screen that `sluice up` prints when it is ready: what runs where, and what to try first."""

from __future__ import annotations

from rich.console import Console, Group
from rich.panel import Panel
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from streams.settings import Settings


def first_model(settings: Settings) -> str:
    """A model name to try."""
    return next(iter(settings.models), "sim/echo")


def ready(console: Console, settings: Settings, url: str, pids: dict[str, int | None]) -> None:
    """Print it."""
    model, kafka = first_model(settings), settings.kafka.bootstrap_servers
    requests, replies = settings.topics.requests.name, f"{settings.topics.prefix}replies.demo"
    auth = ' \\\n  -H "Authorization: Bearer $SLUICE_KEY"' if settings.keys else ""
    curl = (
        f"curl {url}/v1/chat/completions{auth} \\\n  -H 'Content-Type: application/json' \\\n"
        f"""  -d '{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'"""
    )
    produce = f"""\
import asyncio, json
from aiokafka import AIOKafkaProducer

async def main():
    async with AIOKafkaProducer(bootstrap_servers="{kafka}") as producer:
        body = {{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}
        await producer.send_and_wait("{requests}", json.dumps(body).encode())

asyncio.run(main())"""
    query = 'sluice query "SELECT request_model, outcome, count(), avg(duration_ms) FROM requests GROUP BY ALL"'
    if settings.tenants:
        owner = next(iter(sorted(settings.tenants)))
        produce = produce.replace(requests, settings.topics.tenant_requests[owner].name)
    body = Group(
        _places(settings, url, pids),
        Text(
            f"\nHTTP, as any OpenAI client{'' if settings.keys else ' (open: no keys are configured, loopback only)'}"
        ),
        Syntax(curl, "bash", background_color="default"),
        Text(f"\nKafka (for a reply, make {replies} and name it in a header reply_to)"),
        Syntax(produce, "python", background_color="default"),
        Text("\nClickHouse"),
        Syntax(query, "bash", background_color="default"),
        Text("\nCtrl-C stops it; what it stored stays.", style="dim"),
    )
    console.print(Panel(body, title="[bold]Sluice is ready", border_style="green", expand=False))


def _places(settings: Settings, url: str, pids: dict[str, int | None]) -> Table:
    clickhouse = settings.clickhouse.url.rpartition("@")[2] or f"http://127.0.0.1:{settings.clickhouse.port}"
    table = Table.grid(padding=(0, 2))
    rows = {
        "HTTP": (url, pids.get("ingress")),
        "Kafka": (settings.kafka.bootstrap_servers, pids.get("broker")),
        "ClickHouse": (f"{clickhouse} (database {settings.clickhouse.database})", pids.get("audit")),
        "stages": ("filter route reply", pids.get("flow")),
        "": ("call", pids.get("call")),
        "data": (str(settings.state.resolve()), None),
    }
    for name, (place, pid) in rows.items():
        table.add_row(f"[bold]{name}", place, f"[dim]pid {pid}" if pid else "")
    return table
