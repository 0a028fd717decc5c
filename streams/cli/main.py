"""The command line, `sluice`: its global options and its commands."""

from __future__ import annotations

import os
from pathlib import Path

import click

from streams import logging as logs
from streams.cli import check, dashboards, data, doctor, gateway, keys, setup
from streams.cli.context import Sluice


@click.group(cls=Sluice, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Configuration file. [env var: SLUICE_CONFIG; default: sluice.yaml]",
)
@click.option(
    "--log-level",
    type=click.Choice(logs.LEVELS),
    envvar="SLUICE_LOG",
    default="warning",
    show_default=True,
    show_envvar=True,
    help="Lowest level to log, on standard error.",
)
@click.version_option(package_name="sluicegate")
@click.pass_context
def main(ctx: click.Context, config: Path | None, log_level: str) -> None:
    """Sluice: an LLM gateway built on an event log (Kafka)."""
    logs.configure(log_level, process=os.environ.get("SLUICE_PROCESS", ""))
    os.environ["SLUICE_LOG"] = log_level
    ctx.obj = config


for command in (
    gateway.up,
    gateway.run_stages,
    check.check,
    setup.topics,
    setup.migrate,
    data.query,
    data.export,
    doctor.doctor,
    keys.keys,
    dashboards.dashboards,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
