"""Which ClickHouse: the server that is configured, else the engine in process under the state directory."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from streams.config.settings import Settings

_BEFORE_A_READER = (
    "the gateway is starting or stopping, or `sluice query` or `sluice export` reads them: try again in a moment"
)
_BEFORE_A_WRITER = (
    "a gateway runs, and brings the tables up to date itself whenever it starts; or `sluice query` or `sluice export`"
    " reads them: try again in a moment"
)


def chdb_path(settings: Settings) -> Path:
    """The files of the engine in process; one process at a time may have them."""
    return settings.state / "clickhouse"


def open_writer(settings: Settings) -> ClickHouseClient:
    """Where audit writes."""
    if settings.clickhouse.url:
        return ClickHouseClient.server(settings.clickhouse.url, settings.clickhouse.database)
    return ClickHouseClient.embedded(chdb_path(settings), settings.clickhouse.database, holders=_BEFORE_A_WRITER)


def open_reader(settings: Settings) -> ClickHouseClient:
    """Where others read. While the gateway runs, chDB is its audit process's, which serves it on a port.

    Raises:
        ClickHouseError: there is no server, no gateway that runs, and none that has left anything here.

    """
    if settings.clickhouse.url:
        return ClickHouseClient.server(settings.clickhouse.url, settings.clickhouse.database, read_only=True)
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", settings.clickhouse.port), timeout=1):
        url = f"http://127.0.0.1:{settings.clickhouse.port}"
        return ClickHouseClient.server(url, settings.clickhouse.database, read_only=True)
    if not chdb_path(settings).is_dir():  # the engine would make it, and find nothing in it
        raise ClickHouseError(
            f"no gateway answers on port {settings.clickhouse.port}, and none has left data in "
            f"{settings.state.resolve()}: start `sluice up`, or say with SLUICE_STATE where its data is",
            unavailable=True,
        )
    return ClickHouseClient.embedded(
        chdb_path(settings), settings.clickhouse.database, read_only=True, holders=_BEFORE_A_READER
    )
