"""`sluice topics` and `sluice migrate`: preparation of Kafka and ClickHouse."""

from __future__ import annotations

import asyncio

import click

from streams.cli.context import as_json, configured_settings, say, settings_of, warn

MORE_PARTITIONS = (
    "it has more partitions now. Stop all workers for more than 10 s and start them again; until then they read only"
    " the old partitions. A key may now belong to another partition, where earlier requests with it are not found"
)


@click.command()
@click.option("--alter", is_flag=True, help="Change topics that differ from the configuration, as far as Kafka can.")
@as_json
@click.pass_context
def topics(ctx: click.Context, alter: bool, as_json: bool) -> None:
    """Create missing topics.

    Fails, and creates none, if an existing topic differs from the configuration.
    """
    from connectors.kafka import patches
    from streams.provisioning.topics import alter_topics, provision_topics

    patches.apply()
    settings = configured_settings(ctx)
    differences = asyncio.run(alter_topics(settings)) if alter else {}
    altered = {name: [f"{each.setting}={each.wanted}" for each in changes] for name, changes in differences.items()}
    for name, changes in differences.items():
        if any(each.setting == "partitions" for each in changes):
            warn(f"{name}: {MORE_PARTITIONS}")
    created = asyncio.run(provision_topics(settings))
    lines = [f"altered {name}: {', '.join(changes)}" for name, changes in altered.items()]
    lines += [f"created {name}" for name in created]
    data = {"created": created} | ({"altered": altered} if alter else {})
    say(data, "\n".join(lines) or "all topics exist", as_json=as_json)


@click.command()
@as_json
@click.pass_context
def migrate(ctx: click.Context, as_json: bool) -> None:
    """Create and update the ClickHouse tables."""
    from streams.provisioning import clickhouse

    applied = clickhouse.open_writer(settings_of(ctx)).migrate()
    say({"applied": applied}, "\n".join(f"applied {name}" for name in applied) or "up to date", as_json=as_json)
