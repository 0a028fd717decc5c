"""Server or chDB, migrated."""

from __future__ import annotations

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.http_endpoint import Endpoint
from connectors.clickhouse.embedded.part_integrity import PartIntegrity
from streams.audit.stage import AuditStage
from streams.config.settings import ConfigurationError, Settings
from streams.provisioning import clickhouse as stores

_WRITE_NOTHING = (
    "INSERT INTO requests_log SELECT * FROM requests_log LIMIT 0",
    "INSERT INTO events_log SELECT * FROM events_log LIMIT 0",
)


def _migrate_server(clickhouse: ClickHouseClient) -> bool:
    """Bring a server's tables up to date, and try to write nothing into them; False if it is away for now.

    Raises:
        ConfigurationError: it is there and does not let us, today or later.

    """
    try:
        clickhouse.migrate()
        for statement in _WRITE_NOTHING:
            clickhouse.command(statement)
    except ClickHouseError as error:
        if error.unavailable:
            return False
        clickhouse.close()
        raise ConfigurationError(
            f"audit can't write to {clickhouse.place}, which SLUICE_CLICKHOUSE_URL names: {error}"
        ) from None
    return True


def open_audit_stage(settings: Settings) -> AuditStage:
    """The stage; with chDB, also the endpoint that serves it, over tables that are there from the start.

    Raises:
        ConfigurationError: the endpoint's port is taken, or the server does not let us write.
        MigrationError: its tables are not those that we know.

    """
    clickhouse = stores.open_writer(settings)
    if clickhouse.is_server:
        return AuditStage(clickhouse, settings.topics, migrated=_migrate_server(clickhouse))
    clickhouse.migrate()
    port = settings.clickhouse.port
    try:
        endpoint = Endpoint(stores.chdb_path(settings), clickhouse.database, port)
    except OSError as error:
        clickhouse.close()
        reason = error.strerror or str(error)
        raise ConfigurationError(f"port {port} for ClickHouse: {reason}; set SLUICE_CLICKHOUSE_PORT") from None
    return AuditStage(clickhouse, settings.topics, endpoint, PartIntegrity(clickhouse), migrated=True)
