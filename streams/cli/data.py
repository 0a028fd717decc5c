"""`sluice query` and `sluice export`: data from ClickHouse."""

from __future__ import annotations

import datetime as dt
import json
import sys
from pathlib import Path

import click
from click.core import ParameterSource
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streams.cli.context import as_json, console, say, settings_of
from streams.datasets.selection import FORMATS, ExportError, ExportOptions, point_in_time


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "fmt",
    default="PrettyCompactMonoBlock",
    show_default=True,
    help="Any ClickHouse format, unless the SQL has a FORMAT clause.",
)
@as_json
@click.pass_context
def query(ctx: click.Context, sql: str, fmt: str, as_json: bool) -> None:
    """Run a read-only ClickHouse query."""
    from streams.provisioning import clickhouse

    if not sql.strip():
        raise click.UsageError('the query is empty: write SQL, such as "SELECT count() FROM requests"')
    if as_json and ctx.get_parameter_source("fmt") is not ParameterSource.DEFAULT:
        raise click.UsageError("--json and --format exclude each other")

    result = clickhouse.open_reader(settings_of(ctx)).query(sql, "JSON" if as_json else fmt)
    click.get_binary_stream("stdout").write(result)


def _time(_ctx: click.Context, _option: click.Parameter, value: str | None) -> dt.datetime | None:
    try:
        return point_in_time(value) if value is not None else None
    except ExportError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--format", "fmt", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True, help="Layout.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .jsonl or .parquet file.")
@click.option("--tenant", help="Only requests of this tenant.")
@click.option("--model", help="Only requests for this model name, or to this provider/model.")
@click.option("--since", callback=_time, help="2026-11-24, 2026-11-24T09:30Z, or an age such as 24h or 7d.")
@click.option("--until", callback=_time, help="The same. [default: now]")
@click.option("--label", help="key=value set by the caller, or a label set by feedback.")
@click.option("--limit", type=click.IntRange(min=1), help="Maximum number of examples.")
@as_json
@click.pass_context
def export(
    ctx: click.Context,
    fmt: str,
    out: Path,
    tenant: str | None,
    model: str | None,
    since: dt.datetime | None,
    until: dt.datetime | None,
    label: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Export answered requests as a training dataset.

    Writes a manifest next to it. Exits with 3 if no request matches; then no file is written.
    """
    from streams.datasets.export import export as write
    from streams.provisioning import clickhouse

    try:
        options = ExportOptions(
            out=out, format=fmt, tenant=tenant, model=model, since=since, until=until, label=label, limit=limit
        )
    except ExportError as error:
        raise click.UsageError(str(error)) from None
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("export")
        manifest = write(
            clickhouse.open_reader(settings_of(ctx)),
            options,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    say(json.loads(manifest.json()), manifest.sentence, as_json=as_json)
    sys.exit(0 if manifest.examples else 3)
