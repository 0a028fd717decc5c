"""ClickHouse as a server or in process: client, migrations and errors."""

from connectors.clickhouse.client import CHDB_OPTIONS, ClickHouseClient
from connectors.clickhouse.errors import ClickHouseError

__all__ = ["CHDB_OPTIONS", "ClickHouseClient", "ClickHouseError"]
