from __future__ import annotations

import re
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any

import pytest

from connectors.clickhouse import ClickHouseClient, migrations

pytestmark = pytest.mark.flow

CONTENT_COLUMNS = {"input", "output", "error_message"}
IDS = [str(uuid.UUID(int=number)) for number in range(1, 9)]


def insert_event(clickhouse: ClickHouseClient, number: int, event_type: str, age_s: int = 0, **values: Any) -> None:
    row: dict[str, Any] = {"tenant": "acme", "request_id": IDS[number], "event_type": event_type}
    now = int(clickhouse.rows("SELECT toUnixTimestamp64Milli(now64(3)) AS ms")[0]["ms"])
    row |= {"event_time": now - age_s * 1000, "kafka_topic": event_type, "kafka_offset": number} | values
    clickhouse.insert("events_log", list(row), [list(row.values())])


def test_unsettled_view_has_received_requests_without_an_outcome(clickhouse: ClickHouseClient) -> None:
    insert_event(clickhouse, 0, "RequestReceived", age_s=60)
    insert_event(clickhouse, 1, "RequestReceived")
    insert_event(clickhouse, 1, "RequestSettled")
    insert_event(clickhouse, 2, "RequestReceived")
    insert_event(clickhouse, 2, "DeadLettered", stage="filter")
    insert_event(clickhouse, 3, "RequestReceived", age_s=4 * 86400)
    insert_event(clickhouse, 4, "RequestReceived")
    insert_event(clickhouse, 4, "DeadLettered", stage="route")

    unsettled = clickhouse.rows("SELECT request_id, age_ms FROM unsettled ORDER BY age_ms DESC")

    assert [str(row["request_id"]) for row in unsettled] == [IDS[0], IDS[4]]
    assert 60_000 <= unsettled[0]["age_ms"] < 120_000


def test_view_has_one_row_for_a_record_inserted_twice(clickhouse: ClickHouseClient) -> None:
    row = {"tenant": "acme", "event_time": 1_000, "kafka_topic": "t", "kafka_offset": 7}
    clickhouse.insert("events_log", list(row), [list(row.values())] * 2)

    assert [one["kafka_offset"] for one in clickhouse.rows("SELECT kafka_offset FROM events")] == [7]


def test_ingest_delay_view_has_count_and_maximum_of_a_topic(clickhouse: ClickHouseClient) -> None:
    insert_event(clickhouse, 0, "RequestReceived", age_s=5)
    insert_event(clickhouse, 1, "RequestReceived", age_s=-5)

    delays = clickhouse.rows("SELECT kafka_topic, sum(records) AS n, max(max_ms) AS most FROM ingest_delay GROUP BY 1")

    assert [(row["kafka_topic"], row["n"]) for row in delays] == [("RequestReceived", 2)]
    assert 5_000 <= delays[0]["most"] < 60_000


def test_query_by_request_id_reads_less_than_half_of_the_granules(clickhouse: ClickHouseClient) -> None:
    clickhouse.command(
        "INSERT INTO events_log (tenant, request_id, kafka_offset)"
        " SELECT 'acme', reinterpretAsUUID(sipHash128(number)), number FROM numbers(200000)"
    )

    plan = clickhouse.query(
        "EXPLAIN indexes = 1 SELECT * FROM events_log WHERE request_id = reinterpretAsUUID(sipHash128(4711::UInt64))",
        "TSV",
    ).decode()

    granules = re.search(r"Name: by_request.*?Granules: (\d+)/(\d+)", plan, re.DOTALL)
    assert granules is not None
    assert int(granules[1]) < int(granules[2]) / 2


def test_content_columns_expire_after_90_days_and_rows_after_400_days(clickhouse: ClickHouseClient) -> None:
    for table in ("events_log", "requests_log"):
        created = clickhouse.query(f"SHOW CREATE TABLE {table}", "TSVRaw").decode()

        assert created.count("TTL toDateTime(ingested_at) + toIntervalDay(90)") == 2
        assert "TTL toDateTime(ingested_at) + toIntervalDay(400)" in created


def test_merge_deletes_expired_content_and_expired_rows(clickhouse: ClickHouseClient) -> None:
    clickhouse.command("INSERT INTO events_log (input, ingested_at) VALUES ('old', now64(3) - INTERVAL 91 DAY)")
    clickhouse.command(
        "INSERT INTO events_log (input, kafka_offset, ingested_at) VALUES ('older', 1, now64(3) - INTERVAL 401 DAY)"
    )

    clickhouse.command("OPTIMIZE TABLE events_log FINAL")

    assert clickhouse.rows("SELECT input FROM events") == [{"input": ""}]


def roles() -> list[str]:
    return next(
        migration for migration in migrations.packaged_migrations(server=True) if migration.name.endswith(".server.sql")
    ).statements


def test_statements_of_roles_are_valid_sql(clickhouse: ClickHouseClient) -> None:
    for statement in roles():
        assert clickhouse.rows("SELECT formatQuery({q:String}) AS sql", {"q": statement})


def test_analyst_may_select_all_columns_but_content(clickhouse: ClickHouseClient) -> None:
    granted = {
        (match[2], column.strip())
        for statement in roles()
        if (match := re.fullmatch(r"GRANT SELECT\((.*)\) ON (\w+) TO analyst", statement, re.DOTALL))
        for column in match[1].split(",")
    }

    for table in ("events", "events_log", "requests", "requests_log"):
        columns = {row["name"] for row in clickhouse.rows(f"DESCRIBE TABLE {table}")}
        assert {column for granted_table, column in granted if granted_table == table} == columns - CONTENT_COLUMNS


QUERY_PROGRAM = """
import sys
from pathlib import Path
from connectors import clickhouse
path, users = Path(sys.argv[1]), sys.argv[2]
if users:
    clickhouse.CHDB_OPTIONS["users_config"] = users
client = clickhouse.ClickHouseClient.embedded(path, "sluice")
if not users:
    client.migrate()
for sql in sys.argv[3:]:
    try:
        client.rows(sql)
        print("allowed")
    except clickhouse.ClickHouseError as error:
        print(error.code)
"""


def as_user(path: Path, users: str, *sql: str) -> list[str]:
    completed = subprocess.run(
        [sys.executable, "-c", QUERY_PROGRAM, str(path), users, *sql],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return completed.stdout.split()


def test_grants_of_the_analyst_allow_the_views_but_not_content(tmp_path: Path) -> None:
    as_user(tmp_path / "data", "")
    grants = [
        re.sub(r" ON (\w+) TO analyst$", r" ON sluice.\1", statement)
        for statement in roles()
        if statement.startswith("GRANT SELECT") and statement.endswith("TO analyst")
    ]
    queries = "".join(f"<query>{grant}</query>" for grant in ["GRANT SHOW ON *.*", *grants])
    users = tmp_path / "users.xml"
    users.write_text(
        "<clickhouse><profiles><default><optimize_functions_to_subcolumns>0</optimize_functions_to_subcolumns></default></profiles><quotas><default/></quotas><users><default><password/>"
        "<networks><ip>::/0</ip></networks><profile>default</profile><quota>default</quota>"
        f"<grants>{queries}</grants></default></users></clickhouse>"
    )

    results = as_user(
        tmp_path / "data",
        str(users),
        "SELECT tenant, count(), sum(cost_usd) FROM requests GROUP BY tenant",
        "SELECT event_type, attributes['replayed'], mapKeys(labels) FROM events",
        "SELECT * FROM unsettled",
        "SELECT * FROM ingest_delay",
        "SELECT input FROM requests",
        "SELECT output FROM requests_log",
        "SELECT error_message FROM events",
        "SELECT * FROM events",
        "TRUNCATE TABLE events_log",
    )

    assert results == ["allowed"] * 4 + ["497"] * 5
