"""`sluice keys`: API keys of HTTP callers."""

from __future__ import annotations

import re

import click
import yaml

from streams.cli.context import as_json, say


def _name(_ctx: click.Context, _option: click.Parameter, value: str | None) -> str | None:
    from streams.config.settings import NAME

    if value is not None and not re.fullmatch(NAME, value):
        raise click.BadParameter("must be lower-case letters, digits and hyphens, such as team-a")
    return value


def _patterns(_ctx: click.Context, _option: click.Parameter, value: str) -> list[str]:
    patterns = [pattern.strip() for pattern in value.split(",")]
    if not all(patterns):
        raise click.BadParameter("an empty pattern matches no model; name one, or leave the option out")
    return patterns


@click.group()
def keys() -> None:
    """Create API keys for HTTP callers."""


@keys.command("new")
@click.option("--tenant", required=True, callback=_name, help="Owner of the key.")
@click.option("--id", "key_id", callback=_name, help="Name of the key in events and rows. [default: generated]")
@click.option(
    "--models",
    default="*",
    show_default=True,
    callback=_patterns,
    help="Shell patterns of the models that the key may use, separated by commas.",
)
@as_json
def new_key(tenant: str, key_id: str | None, models: list[str], as_json: bool) -> None:
    """Create a key, and print it with the lines for sluice.yaml.

    The lines hold only the hash. The key is printed once and stored nowhere.
    """
    from streams.config.api_keys import new_key as create_key

    plain, digest = create_key()
    key_id = key_id or f"{tenant}-{digest[-6:]}"
    entry = {"id": key_id, "tenant": tenant, "hash": digest, "models": models}
    stanza = yaml.safe_dump({"tenants": {tenant: {}}, "keys": [entry]}, sort_keys=False)
    text = f"# the key, shown only once: {plain}\n# add these lines to sluice.yaml:\n{stanza.rstrip()}"
    say({"key": plain, **entry}, text, as_json=as_json)
