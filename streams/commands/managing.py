"""What prepares things for others: keys for callers, dashboards for Grafana."""

from __future__ import annotations

import re
from dataclasses import asdict

import click
import yaml

from streams.commands.context import as_json, console, say, settings_of


def _name(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from streams.settings import NAME

    if value is not None and not re.fullmatch(NAME, value):
        raise click.BadParameter("lower-case letters, digits and dashes, such as team-a")
    return value


@click.group()
def keys() -> None:
    """Keys for HTTP callers."""


@keys.command("new")
@click.option("--tenant", required=True, callback=_name)
@click.option("--id", "key_id", callback=_name, help="The key's name in every record; else made up.")
@click.option("--models", default="*", show_default=True, help="Shell patterns of model names, separated by commas.")
@as_json
def new_key(tenant: str, key_id: str | None, models: str, as_json: bool) -> None:
    """Make a key, and the lines for sluice.yaml that hold its hash. The key itself is shown this once."""
    from streams.ingress.keys import new_key as make_key

    plain, digest = make_key()
    key_id = key_id or f"{tenant}-{digest[-6:]}"
    patterns = [pattern.strip() for pattern in models.split(",")]
    entry = {"id": key_id, "tenant": tenant, "hash": digest, "models": patterns}
    stanza = yaml.safe_dump({"tenants": {tenant: {}}, "keys": [entry]}, sort_keys=False)
    text = f"# the key, shown this once: {plain}\n# these lines go into sluice.yaml:\n{stanza.rstrip()}"
    say({"key": plain, **entry}, text, as_json=as_json)


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
    from streams.dashboards import push as push_all

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
