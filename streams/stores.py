"""Which ClickHouse: the server that is configured, else the engine in process and the endpoint that serves it."""

from __future__ import annotations

from pathlib import Path

from connectors.clickhouse import ClickHouse
from streams.settings import Settings


def path(settings: Settings) -> Path:
    """The files of the engine in process; one process at a time may have them."""
    return settings.state / "clickhouse"


def writer(settings: Settings) -> ClickHouse:
    """Where audit writes. In process it is the one owner of the files under the state directory."""
    if settings.clickhouse.url:
        return ClickHouse.server(settings.clickhouse.url, settings.clickhouse.database)
    return ClickHouse.embedded(path(settings), settings.clickhouse.database)


def reader(settings: Settings) -> ClickHouse:
    """Where everybody else reads: over HTTP, and nothing but reading."""
    url = settings.clickhouse.url or f"http://127.0.0.1:{settings.clickhouse.port}"
    return ClickHouse.server(url, settings.clickhouse.database, read_only=True)
