"""Shared by all commands: the settings, output for people and for programs, and the handling of errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich.console import Console

from schemas.errors import UserError

if TYPE_CHECKING:
    from streams.config.settings import Settings

console = Console(stderr=True, highlight=False)

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class Sluice(click.Group):
    """Command group that reports an error for people as one line, with exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 - click's own
        """Run the command."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            console.print(f"sluice: {error}", style="red", markup=False, soft_wrap=True)
            ctx.exit(1)


def settings_of(ctx: click.Context, *, secrets: bool = False) -> Settings:
    """Return the settings of this call. Only commands that call providers need their ``secrets``."""
    from streams.config.loader import load

    config: Path | None = ctx.find_root().obj
    return load(config, secrets=secrets)


def configured_settings(ctx: click.Context, *, secrets: bool = False) -> Settings:
    """Return the settings with an address of Kafka: the configured one, else the one that `sluice up` runs."""
    settings = settings_of(ctx, secrets=secrets)
    bootstrap = settings.kafka.bootstrap_servers or f"127.0.0.1:{settings.kafka.port}"
    return settings.model_copy(update={"kafka": settings.kafka.model_copy(update={"bootstrap_servers": bootstrap})})


def say(data: object, text: str, *, as_json: bool) -> None:
    """Print ``data`` as JSON, or else ``text``."""
    click.echo(json.dumps(data) if as_json else text)


def warn(message: str) -> None:
    """Print a warning on standard error."""
    console.print(f"sluice: warning: {message}", style="yellow", markup=False, soft_wrap=True)
