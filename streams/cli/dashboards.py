"""Moved out of streams/cli/keys.py."""

from __future__ import annotations

from dataclasses import asdict

import click

from streams.cli.context import as_json, console, say, settings_of


@click.group()
def dashboards() -> None:
    """Grafana dashboards and alert rules."""


@dashboards.command()
@click.option("--grafana", "url", envvar="SLUICE_GRAFANA_URL", help="For example http://localhost:3000.")
@click.option("--auth", envvar="SLUICE_GRAFANA_AUTH", help="A service account's token, or user:password.")
@click.option("--clickhouse", "clickhouse_url", help="ClickHouse as Grafana reaches it; else as we do.")
@click.option("--folder", default="Sluice", show_default=True)
@as_json
@click.pass_context
def push(
    ctx: click.Context, url: str | None, auth: str | None, clickhouse_url: str | None, folder: str, as_json: bool
) -> None:
    """Push dashboards and alert rules to Grafana.

    Their folder and their data source come along. A second time nothing changes.
    """
    from streams.provisioning.dashboards import push as push_all

    settings = settings_of(ctx)
    url = url or settings.grafana_url
    if not url or not auth:
        raise click.UsageError(
            "say where Grafana is (--grafana or SLUICE_GRAFANA_URL) and who you are (SLUICE_GRAFANA_AUTH)"
        )
    pushed = push_all(
        url,
        auth,
        clickhouse_url=clickhouse_url or settings.clickhouse.url or f"http://127.0.0.1:{settings.clickhouse.port}",
        database=settings.clickhouse.database,
        folder=folder,
        progress=lambda one: None if as_json else console.print(f"{one.change:>9}  {one.kind} {one.name} {one.url}"),
    )
    say([asdict(one) for one in pushed], f"{len(pushed)} things are in Grafana at {url}", as_json=as_json)
