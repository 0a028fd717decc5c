"""Construction of the audit stage over a ClickHouse server or chDB, with migrated tables."""

from __future__ import annotations

from pathlib import Path

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.credentials import Readers
from connectors.clickhouse.embedded.endpoint import Endpoint
from connectors.clickhouse.embedded.part_integrity import PartIntegrity
from schemas.kafka.topics import Topics
from streams.audit.stage import AuditStage
from streams.config.settings import ConfigurationError

_EMPTY_INSERTS = (
    "INSERT INTO requests_log SELECT * FROM requests_log LIMIT 0",
    "INSERT INTO events_log SELECT * FROM events_log LIMIT 0",
)


def _migrate_server(clickhouse: ClickHouseClient) -> bool:
    """Migrate a server's tables and try an empty insert into each. Return False if the server is unavailable.

    Raises:
        ConfigurationError: the server refuses the migration or the insert.

    """
    try:
        clickhouse.migrate()
        for statement in _EMPTY_INSERTS:
            clickhouse.command(statement)
    except ClickHouseError as error:
        if error.unavailable:
            return False
        clickhouse.close()
        raise ConfigurationError(
            f"audit can't write to {clickhouse.address}, which SLUICE_CLICKHOUSE_URL names: {error}"
        ) from None
    return True


def open_audit_stage(
    clickhouse: ClickHouseClient, topics: Topics, *, chdb_path: Path, port: int, readers: Readers | None = None
) -> AuditStage:
    """Open the audit stage. With chDB, migrate its tables and serve them over HTTP as well.

    Args:
        clickhouse: the client that writes.
        topics: the topics to audit.
        chdb_path: directory of chDB; unused with a server.
        port: port of chDB's HTTP endpoint; unused with a server.
        readers: hashes of the keys that may read on the port; None if every process of this machine may.

    Raises:
        ConfigurationError: the endpoint's port is in use, or the server refuses writes.
        MigrationError: an applied migration was edited.

    """
    if clickhouse.is_server:
        return AuditStage(clickhouse, topics, migrated=_migrate_server(clickhouse))
    clickhouse.migrate()
    try:
        endpoint = Endpoint(chdb_path, clickhouse.database, port, readers)
    except OSError as error:
        clickhouse.close()
        reason = error.strerror or str(error)
        raise ConfigurationError(f"port {port} for ClickHouse: {reason}; set SLUICE_CLICKHOUSE_PORT") from None
    return AuditStage(clickhouse, topics, endpoint, PartIntegrity(clickhouse, on_repair=endpoint.reload), migrated=True)
