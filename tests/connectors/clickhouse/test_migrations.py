from __future__ import annotations

import pytest

from connectors.clickhouse import ClickHouseClient, ClickHouseError, migrations
from connectors.clickhouse.migrations import Migration, MigrationError

pytestmark = pytest.mark.flow

FIRST = Migration(
    "001_first.sql",
    "-- a comment; with a semicolon\nCREATE TABLE IF NOT EXISTS first (a UInt8)\nENGINE = MergeTree ORDER BY a;\n",
)
SECOND = Migration(
    "002_second.sql", "ALTER TABLE first ADD COLUMN IF NOT EXISTS b UInt8;\nINSERT INTO first VALUES (1, 2);"
)


def test_migrations_are_applied_in_order_and_once(empty_clickhouse: ClickHouseClient) -> None:
    assert migrations.apply(empty_clickhouse, [FIRST]) == ["001_first.sql"]
    assert migrations.apply(empty_clickhouse, [FIRST, SECOND]) == ["002_second.sql"]
    assert migrations.apply(empty_clickhouse, [FIRST, SECOND]) == []

    assert empty_clickhouse.rows("SELECT a, b FROM first") == [{"a": 1, "b": 2}]


def test_applied_migration_is_recorded_with_its_hash(empty_clickhouse: ClickHouseClient) -> None:
    migrations.apply(empty_clickhouse, [FIRST])

    recorded = empty_clickhouse.rows("SELECT name, sha256, applied_at > now() - 60 AS recent FROM schema_migrations")

    assert recorded == [{"name": "001_first.sql", "sha256": FIRST.sha256, "recent": 1}]


def test_edited_migration_is_an_error_that_names_the_file(empty_clickhouse: ClickHouseClient) -> None:
    migrations.apply(empty_clickhouse, [FIRST])

    with pytest.raises(MigrationError, match=r"001_first\.sql was edited"):
        migrations.apply(empty_clickhouse, [Migration(FIRST.name, FIRST.sql + "-- an edit\n"), SECOND])

    assert empty_clickhouse.rows("SELECT name FROM schema_migrations") == [{"name": "001_first.sql"}]


def test_failed_migration_is_not_recorded_and_is_repeated(empty_clickhouse: ClickHouseClient) -> None:
    broken = Migration("002_second.sql", "SELECT * FROM nothing_here;")

    with pytest.raises(ClickHouseError, match="nothing_here"):
        migrations.apply(empty_clickhouse, [FIRST, broken])

    assert migrations.apply(empty_clickhouse, [FIRST, SECOND]) == ["002_second.sql"]


def test_packaged_migrations_create_all_tables_once(clickhouse: ClickHouseClient) -> None:
    names = {row["name"] for row in clickhouse.rows("SHOW TABLES")}

    assert {"events", "events_log", "requests", "requests_log", "unsettled", "ingest_delay"} <= names
    assert clickhouse.migrate() == []


def test_migration_of_roles_is_applied_to_servers_only() -> None:
    embedded = {migration.name for migration in migrations.packaged_migrations(server=False)}
    server = {migration.name for migration in migrations.packaged_migrations(server=True)}

    assert server - embedded == {"004_roles.server.sql"}
