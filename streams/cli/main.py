"""The command line: `sluice`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from streams import logging as logs
from streams.cli import dashboards, doctor, setup
from streams.cli import data as looking
from streams.cli import gateway as running
from streams.cli import keys as managing
from streams.cli.context import Sluice


@click.group(cls=Sluice, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config", type=click.Path(path_type=Path), help="The configuration; else SLUICE_CONFIG, else sluice.yaml."
)
@click.option("--log-level", type=click.Choice(logs.LEVELS), envvar="SLUICE_LOG", default="warning", show_default=True)
@click.version_option(package_name="sluicegate")
@click.pass_context
def main(ctx: click.Context, config: Path | None, log_level: str) -> None:
    """Sluice: an LLM gateway whose heart is an event log."""
    logs.configure(log_level, process=os.environ.get("SLUICE_PROCESS", ""))
    os.environ["SLUICE_LOG"] = log_level
    ctx.obj = config


for command in (
    running.up,
    running.run_stages,
    setup.topics,
    setup.migrate,
    looking.query,
    looking.export,
    doctor.doctor,
    managing.keys,
    dashboards.dashboards,
):
    main.add_command(command)

if __name__ == "__main__":
    main()
