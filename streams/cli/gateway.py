"""`sluice up` and `sluice run`: the whole gateway on this machine, or some of its stages in this process."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from schemas.kafka.stages import RUNNABLE
from streams.cli.context import as_json, configured_settings, settings_of, warn


@click.command()
@click.option("--local-model", is_flag=True, help="Also serve a small language model (installed by `make model`).")
@as_json
@click.pass_context
def up(ctx: click.Context, local_model: bool, as_json: bool) -> None:
    """Run the whole gateway on this machine.

    Starts Kafka, every stage, and ClickHouse. Set SLUICE_KAFKA or SLUICE_CLICKHOUSE_URL to use existing servers.
    """
    from streams.config.lint import find_warnings
    from streams.supervisor.up import up as run_up

    settings = settings_of(ctx, secrets=True)
    for warning in find_warnings(settings):
        warn(warning)
    sys.exit(asyncio.run(run_up(settings, ctx.find_root().obj, local_model=local_model, as_json=as_json)))


@click.command("run")
@click.argument("stages", nargs=-1, required=True, type=click.Choice(RUNNABLE))
@click.pass_context
def run_stages(ctx: click.Context, stages: tuple[str, ...]) -> None:
    """Run one or more stages in this process.

    Uses the Kafka and the ClickHouse of the configuration, else those that `sluice up` runs.
    """
    import uvloop

    from streams.app import run
    from streams.config.lint import find_warnings

    settings = configured_settings(ctx, secrets=True)
    supervised = bool(os.environ.get("SLUICE_SUPERVISED"))
    for warning in () if supervised else find_warnings(settings):
        warn(warning)
    on_ready = None if supervised else click.echo
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(run(tuple(dict.fromkeys(stages)), settings, on_ready=on_ready)))
