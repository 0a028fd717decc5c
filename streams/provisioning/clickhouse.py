"""ClickHouse clients: of the configured server, or of chDB under the state directory."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.credentials import Readers, hash_of
from streams.config.deployment import ClickHouseSettings
from streams.config.secret_file import read_or_create_secret
from streams.config.settings import ConfigurationError, Settings

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


def open_readers(settings: Settings) -> Readers | None:
    """Return the readers of chDB's port: the keys that have a role, and the local token.

    None without configured keys: then the port is open on loopback, and needs no token.
    """
    if not settings.keys or settings.clickhouse.url:
        return None
    readers: dict[str, list[str] | None] = {
        key.hash: None if "operator" in key.roles else [key.tenant] for key in settings.keys if key.roles
    }
    return readers | {hash_of(_local_token(settings)): None}


def local_url(settings: Settings) -> str:
    """Return the URL of chDB's port, with the local token as its password if keys are configured."""
    login = f"sluice:{_local_token(settings)}@" if settings.keys else ""
    return f"http://{login}127.0.0.1:{settings.clickhouse.port}"


def reader_settings(settings: Settings) -> ClickHouseSettings:
    """Return the settings with the URL of the server or chDB's port, for a process that only reads."""
    url = settings.clickhouse.url or local_url(settings)
    return settings.clickhouse.model_copy(update={"url": url})


def _local_token(settings: Settings) -> str:
    """Return the token with which the gateway's own processes and commands read, and make it if there is none."""
    path = settings.state / "clickhouse.token"
    try:
        return read_or_create_secret(path)
    except OSError as error:
        raise ConfigurationError(f"{path}: the token can't be read or written: {error.strerror}") from None


def open_reader(settings: Settings) -> ClickHouseClient:
    """Return a read-only client. While the gateway runs, its audit process has chDB open and serves it on a port.

    Raises:
        ClickHouseError: no server is configured, no gateway runs, and the state directory has no data.

    """
    if settings.clickhouse.url:
        return ClickHouseClient.server(settings.clickhouse.url, settings.clickhouse.database, read_only=True)
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", settings.clickhouse.port), timeout=1):
        return ClickHouseClient.server(local_url(settings), settings.clickhouse.database, read_only=True)
    if not chdb_path(settings).is_dir():  # chDB would create it, empty
        raise ClickHouseError(
            f"no gateway answers on port {settings.clickhouse.port}, and {settings.state.resolve()} has no data:"
            " start `sluice up`, or set SLUICE_STATE to the directory of its data",
            unavailable=True,
        )
    return ClickHouseClient.embedded(
        chdb_path(settings), settings.clickhouse.database, read_only=True, holders=_READER_BLOCKED_BY
    )
