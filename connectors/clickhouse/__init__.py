"""ClickHouse, as a server or in process: the client, its tables brought up to date, and what may be wrong with it."""

from connectors.clickhouse.client import CHDB_OPTIONS, ClickHouseClient
from connectors.clickhouse.errors import ClickHouseError

__all__ = ["CHDB_OPTIONS", "ClickHouseClient", "ClickHouseError"]
