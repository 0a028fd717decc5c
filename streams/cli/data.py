"""What asks or takes out: query, export, doctor."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streams.cli.context import as_json, console, say, settings_of
from streams.datasets.selection import FORMATS, ExportOptions, point_in_time


@click.command()
@click.argument("sql")
@click.option(
    "--format",
    "fmt",
    default="PrettyCompactMonoBlock",
    show_default=True,
    help="Any ClickHouse format, if SQL names none.",
)
@as_json
@click.pass_context
def query(ctx: click.Context, sql: str, fmt: str, as_json: bool) -> None:
    """Ask ClickHouse, read-only."""
    from streams.provisioning import clickhouse as stores

    if not sql.strip():
        raise click.UsageError('the query is empty: say in SQL what to ask, such as "SELECT count() FROM requests"')

    answer = stores.open_reader(settings_of(ctx)).query(sql, "JSON" if as_json else fmt)
    click.get_binary_stream("stdout").write(answer)


@click.command()
@click.option("--format", "fmt", type=click.Choice(FORMATS), default=FORMATS[0], show_default=True)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A .jsonl or .parquet file.")
@click.option("--tenant")
@click.option("--model", help="The name that callers use, or provider/model.")
@click.option("--since", help="2026-11-24, 2026-11-24T09:30Z, or how long ago: 24h, 7d.")
@click.option("--until", help="The same; else now.")
@click.option("--label", help="key=value as the caller gave it, or a word that feedback gave.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many examples.")
@as_json
@click.pass_context
def export(
    ctx: click.Context,
    fmt: str,
    out: Path,
    tenant: str | None,
    model: str | None,
    since: str | None,
    until: str | None,
    label: str | None,
    limit: int | None,
    as_json: bool,
) -> None:
    """Make a training dataset of answered requests.

    A manifest beside it says what is in it.
    """
    from streams.datasets.export import export as write
    from streams.provisioning import clickhouse as stores

    options = ExportOptions(
        out=out,
        format=fmt,
        tenant=tenant,
        model=model,
        since=point_in_time(since) if since else None,
        until=point_in_time(until) if until else None,
        label=label,
        limit=limit,
    )
    columns = (TextColumn("exporting"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("export")
        manifest = write(
            stores.open_reader(settings_of(ctx)),
            options,
            lambda done, total: bar.update(task, completed=done, total=total),
        )
    say(json.loads(manifest.json()), manifest.sentence, as_json=as_json)
    sys.exit(0 if manifest.examples else 3)
