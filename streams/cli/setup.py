"""Moved out of streams/cli/gateway.py."""

from __future__ import annotations

import asyncio

import click

from streams.cli.context import as_json, configured_settings, console, say, settings_of

MORE_PARTITIONS = (
    "it has more partitions now. Stop every worker for longer than 10 s and start them again, or they read only the old"
    " ones; a key may go to another partition than before, where a caller's repeat is not known"
)


@click.command()
@click.option("--alter", is_flag=True, help="Change those that are not as configured, as far as Kafka can.")
@as_json
@click.pass_context
def topics(ctx: click.Context, alter: bool, as_json: bool) -> None:
    """Make the topics that are missing.

    Those that are there are checked: one that is not as configured is an error, and then none is made.
    """
    from connectors.kafka import patches
    from streams.provisioning.topics import alter_topics, provision_topics

    patches.apply()
    settings = configured_settings(ctx)
    altered = asyncio.run(alter_topics(settings)) if alter else {}
    told = {name: [f"{each.setting}={each.wanted}" for each in changes] for name, changes in altered.items()}
    for name, changes in altered.items():
        if any(each.setting == "partitions" for each in changes):
            console.print(f"sluice: {name}: {MORE_PARTITIONS}", style="yellow", markup=False, soft_wrap=True)
    made = asyncio.run(provision_topics(settings))
    lines = [f"altered {name}: {', '.join(changes)}" for name, changes in told.items()]
    lines += [f"created {name}" for name in made]
    data = {"created": made} | ({"altered": told} if alter else {})
    say(data, "\n".join(lines) or "all topics are there", as_json=as_json)


@click.command()
@as_json
@click.pass_context
def migrate(ctx: click.Context, as_json: bool) -> None:
    """Apply the ClickHouse tables that are not there yet."""
    from streams.provisioning import clickhouse as stores

    applied = stores.open_writer(settings_of(ctx)).migrate()
    say({"applied": applied}, "\n".join(f"applied {name}" for name in applied) or "up to date", as_json=as_json)
