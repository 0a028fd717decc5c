"""What runs the gateway, or makes ready for it: up, run, topics, migrate."""

from __future__ import annotations

import asyncio
import sys

import click

from schemas.stages import RUNNABLE
from streams.commands.context import as_json, say, settings_of, with_log


@click.command()
@click.option("--local-model", is_flag=True, help="Serve a small real model too (`make model` installs it).")
@as_json
@click.pass_context
def up(ctx: click.Context, local_model: bool, as_json: bool) -> None:
    """Run the whole gateway on this machine.

    That is Kafka, every stage, and ClickHouse.
    """
    from streams.up import up as run_up

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

    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())  # the consumers' own threads follow it
    sys.exit(asyncio.run(run(stages, with_log(ctx, secrets=True))))


@click.command()
@as_json
@click.pass_context
def topics(ctx: click.Context, as_json: bool) -> None:
    """Make the topics that are missing.

    Those that are there are checked.
    """
    from streams.preparation import prepare_log

    made = asyncio.run(prepare_log(with_log(ctx)))
    say({"created": made}, "\n".join(f"created {name}" for name in made) or "all topics are there", as_json=as_json)


@click.command()
@as_json
@click.pass_context
def migrate(ctx: click.Context, as_json: bool) -> None:
    """Apply the ClickHouse tables that are not there yet."""
    from streams import stores

    applied = stores.writer(settings_of(ctx)).migrate()
    say({"applied": applied}, "\n".join(f"applied {name}" for name in applied) or "up to date", as_json=as_json)
