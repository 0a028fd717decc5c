"""What prepares things for others: keys for callers, dashboards for Grafana."""

from __future__ import annotations

import re

import click
import yaml

from streams.cli.context import as_json, say


def _name(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from streams.config.settings import NAME

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
    from streams.config.api_keys import new_key as make_key

    plain, digest = make_key()
    key_id = key_id or f"{tenant}-{digest[-6:]}"
    patterns = [pattern.strip() for pattern in models.split(",")]
    entry = {"id": key_id, "tenant": tenant, "hash": digest, "models": patterns}
    stanza = yaml.safe_dump({"tenants": {tenant: {}}, "keys": [entry]}, sort_keys=False)
    text = f"# the key, shown this once: {plain}\n# these lines go into sluice.yaml:\n{stanza.rstrip()}"
    say({"key": plain, **entry}, text, as_json=as_json)
