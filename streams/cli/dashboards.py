"""`sluice dashboards`: dashboards and alert rules for Grafana."""

from __future__ import annotations

from dataclasses import asdict

import click

from streams.cli.context import as_json, console, say, settings_of


@click.group()
def dashboards() -> None:
    """Push dashboards and alert rules to Grafana."""


@dashboards.command()
@click.option("--grafana", "url", envvar="SLUICE_GRAFANA_URL", show_envvar=True, help="Such as http://localhost:3000.")
@click.option(
    "--auth", envvar="SLUICE_GRAFANA_AUTH", show_envvar=True, help="Token of a service account, or user:password."
)
@click.option("--clickhouse", "clickhouse_url", help="ClickHouse URL for Grafana. [default: the gateway's]")
@click.option("--folder", default="Sluice", show_default=True, help="Name of a new folder.")
@as_json
@click.pass_context
def push(
    ctx: click.Context, url: str | None, auth: str | None, clickhouse_url: str | None, folder: str, as_json: bool
) -> None:
    """Push dashboards and alert rules to Grafana.

    Creates their folder and data source if missing. Pushing the same version again changes nothing.
    """
    from streams.provisioning.dashboards import push as push_all

    settings = settings_of(ctx)
    url = url or settings.grafana_url
    if not url or not auth:
        raise click.UsageError(
            "Grafana's address (--grafana or SLUICE_GRAFANA_URL) and login (SLUICE_GRAFANA_AUTH) are required"
        )
    pushed = push_all(
        url,
        auth,
        clickhouse_url=clickhouse_url or settings.clickhouse.url or f"http://127.0.0.1:{settings.clickhouse.port}",
        database=settings.clickhouse.database,
        folder=folder,
        progress=lambda one: None if as_json else console.print(f"{one.change:>9}  {one.kind} {one.name} {one.url}"),
    )
    say([asdict(one) for one in pushed], f"{len(pushed)} objects are up to date in Grafana at {url}", as_json=as_json)
