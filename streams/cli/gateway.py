"""What runs the gateway, or makes ready for it: up, run, topics, migrate."""

from __future__ import annotations

import asyncio
import sys

import click

from schemas.kafka.stages import RUNNABLE
from streams.cli.context import as_json, configured_settings, settings_of


@click.command()
@click.option("--local-model", is_flag=True, help="Serve a small real model too (`make model` installs it).")
@as_json
@click.pass_context
def up(ctx: click.Context, local_model: bool, as_json: bool) -> None:
    """Run the whole gateway on this machine.

    That is Kafka, every stage, and ClickHouse.
    """
    from streams.supervisor.up import up as run_up

    settings = settings_of(ctx, secrets=True)
    sys.exit(asyncio.run(run_up(settings, ctx.find_root().obj, local_model=local_model, as_json=as_json)))


@click.command("run")
@click.argument("stages", nargs=-1, required=True, type=click.Choice(RUNNABLE))
@click.pass_context
def run_stages(ctx: click.Context, stages: tuple[str, ...]) -> None:
    """Run some stages in this process.

    They may use any Kafka and any ClickHouse.
    """
    import uvloop

    from streams.app import run

    settings = configured_settings(ctx, secrets=True)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(run(stages, settings)))
