"""`sluice check`: all checks of a configuration that need no network."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from streams.cli.context import as_json, say, warn


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path))
@as_json
@click.pass_context
def check(ctx: click.Context, file: Path | None, as_json: bool) -> None:
    """Check a configuration file, as `sluice up` does.

    FILE defaults to the file of --config. Every variable in it must be set. Nothing is started, and no network is used.
    """
    from streams.config.lint import find_warnings
    from streams.config.loader import load
    from streams.config.settings import ConfigurationError
    from streams.config.start_checks import check_startable

    path: Path | None = file or ctx.find_root().obj
    name = str(path or os.environ.get("SLUICE_CONFIG") or "sluice.yaml")
    try:
        settings = load(path)
        check_startable(settings)
    except ConfigurationError as error:
        if not as_json:
            raise
        faults = str(error).splitlines()
        say({"file": name, "ok": False, "config_hash": None, "errors": faults, "warnings": []}, "", as_json=True)
        sys.exit(1)
    warnings = find_warnings(settings)
    if not as_json:
        for warning in warnings:
            warn(warning)
    if not Path(name).exists():
        name = "no configuration file, the defaults"
    report = {"file": name, "ok": True, "config_hash": settings.hash, "errors": [], "warnings": warnings}
    say(report, f"{name}: valid, configuration {settings.hash}", as_json=as_json)
