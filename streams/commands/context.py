"""What every command shares: the settings, how it prints, and which errors are written for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from connectors.clickhouse import ClickHouseError
from connectors.embedded.broker import BrokerError
from connectors.embedded.localmodel import LocalModelError
from connectors.grafana import GrafanaError
from connectors.kafka.errors import KafkaFaultError
from connectors.migrations import MigrationError
from streams.configuration import load
from streams.datasets.selection import ExportError
from streams.exclusive import StartError
from streams.settings import ConfigurationError, Settings

console = Console(stderr=True, highlight=False)

FOR_PEOPLE = (
    ConfigurationError,
    StartError,
    BrokerError,
    KafkaFaultError,
    ClickHouseError,
    MigrationError,
    GrafanaError,
    ExportError,
    LocalModelError,
)
"""One sentence that says what to do. Anything else is a fault of ours and shows its trace."""

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


class Sluice(click.Group):
    """Turns errors for people into one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        """Run the command."""
        try:
            return super().invoke(ctx)
        except FOR_PEOPLE as error:
            console.print(f"sluice: {error}", style="red", markup=False, soft_wrap=True)
            ctx.exit(1)


def settings_of(ctx: click.Context, *, secrets: bool = False) -> Settings:
    """The configuration that this call names; its secrets are needed only by who makes providers of it."""
    config: Path | None = ctx.find_root().obj
    return load(config, secrets=secrets)


def with_log(ctx: click.Context, *, secrets: bool = False) -> Settings:
    """The same for a command that needs a Kafka: the one that is named, else the one that `sluice up` runs."""
    settings = settings_of(ctx, secrets=secrets)
    bootstrap = settings.kafka.bootstrap_servers or f"127.0.0.1:{settings.kafka.port}"
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": bootstrap})})


def say(data: object, text: str, *, as_json: bool) -> None:
    """Print for a program or for a person."""
    click.echo(json.dumps(data) if as_json else text)
