"""`sluice doctor`: checks of the configuration and of everything that runs."""

from __future__ import annotations

import asyncio
import sys

import click

from streams.cli.context import as_json, configured_settings, say


@click.command()
@as_json
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check the configuration, Kafka, ClickHouse and the stages.

    Exits with 1 if a check fails (BAD); a warning (warn) does not change the exit code.
    """
    from connectors.kafka import patches
    from streams.doctor.checks import run_checks

    patches.apply()
    findings = asyncio.run(run_checks(configured_settings(ctx)))
    say([finding.as_dict() for finding in findings], "\n".join(map(str, findings)), as_json=as_json)
    sys.exit(0 if all(finding.ok for finding in findings) else 1)
