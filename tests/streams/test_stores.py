from __future__ import annotations

from streams import stores
from streams.settings import ClickHouse, Settings


def test_a_configured_server_is_used_to_write_and_to_read() -> None:
    configured = Settings(clickhouse=ClickHouse(url="http://u:p@clickhouse.example:8123"))

    writer, reader = stores.writer(configured), stores.reader(configured)

    assert writer.place == reader.place == "http://clickhouse.example:8123"
    assert (writer.read_only, reader.read_only) == (False, True)
