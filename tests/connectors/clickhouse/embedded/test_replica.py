from __future__ import annotations

from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.embedded.replica import connection_string, create_replica

pytestmark = pytest.mark.flow


def test_replica_copies_definitions_and_no_rows(
    clickhouse: ClickHouseClient, clickhouse_path: Path, tmp_path: Path
) -> None:
    path, options = create_replica(tmp_path, clickhouse_path, clickhouse.database)

    definitions = {file.name for file in (path / "metadata" / clickhouse.database).glob("*.sql")}
    assert {"events_log.sql", "requests_log.sql", "events.sql", "unsettled.sql"} <= definitions
    assert {file.suffix for file in path.rglob("*") if file.is_file()} == {".sql"}
    config = Path(options["config-file"]).read_text()
    assert f"<path>{clickhouse_path.resolve()}/</path>" in config
    assert "<readonly>1</readonly>" in config
    assert connection_string(path, options).startswith(f"{path}?config-file=")


def test_path_is_escaped_for_xml(clickhouse: ClickHouseClient, clickhouse_path: Path, tmp_path: Path) -> None:
    link = tmp_path / "a&b<c"
    link.symlink_to(clickhouse_path)
    folder = tmp_path / "folder"
    folder.mkdir()

    _, options = create_replica(folder, link, clickhouse.database)

    assert str(clickhouse_path.resolve()) in Path(options["config-file"]).read_text()


def test_missing_database_is_an_error(clickhouse_path: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        create_replica(tmp_path, clickhouse_path, "nothing")
