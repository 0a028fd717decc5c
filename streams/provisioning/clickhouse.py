"""ClickHouse clients: of the configured server, or of chDB under the state directory."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from streams.config.settings import Settings

_READER_BLOCKED_BY = (
    "the gateway is starting or stopping, or `sluice query` or `sluice export` is running; try again in a moment"
)
_WRITER_BLOCKED_BY = (
    "a gateway is running, which updates the tables itself at every start. If it is `sluice query` or `sluice export`,"
    " try again in a moment"
)


def chdb_path(settings: Settings) -> Path:
    """Return the directory of chDB; one process at a time can open it."""
    return settings.state / "clickhouse"


def open_writer(settings: Settings) -> ClickHouseClient:
    """Return the client that audit writes with."""
    if settings.clickhouse.url:
        return ClickHouseClient.server(settings.clickhouse.url, settings.clickhouse.database)
    return ClickHouseClient.embedded(chdb_path(settings), settings.clickhouse.database, holders=_WRITER_BLOCKED_BY)


def open_reader(settings: Settings) -> ClickHouseClient:
    """Return a read-only client. While the gateway runs, its audit process has chDB open and serves it on a port.

    Raises:
        ClickHouseError: no server is configured, no gateway runs, and the state directory has no data.

    """
    if settings.clickhouse.url:
        return ClickHouseClient.server(settings.clickhouse.url, settings.clickhouse.database, read_only=True)
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", settings.clickhouse.port), timeout=1):
        url = f"http://127.0.0.1:{settings.clickhouse.port}"
        return ClickHouseClient.server(url, settings.clickhouse.database, read_only=True)
    if not chdb_path(settings).is_dir():  # chDB would create it, empty
        raise ClickHouseError(
            f"no gateway answers on port {settings.clickhouse.port}, and {settings.state.resolve()} has no data:"
            " start `sluice up`, or set SLUICE_STATE to the directory of its data",
            unavailable=True,
        )
    return ClickHouseClient.embedded(
        chdb_path(settings), settings.clickhouse.database, read_only=True, holders=_READER_BLOCKED_BY
    )
