from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from starlette.datastructures import Headers, QueryParams

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.embedded.credentials import hash_of, visible_tenants
from connectors.clickhouse.embedded.endpoint import Endpoint
from connectors.clickhouse.embedded.query_guard import QueryError
from connectors.clickhouse.embedded.replica import RESTRICTED_SYSTEM_TABLES, SHARED_SYSTEM_TABLES

READERS = {hash_of("acme-key"): ["acme"], hash_of("all-key"): None}
CANARY = "canary7f3a"


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode()}


def tenants(headers: list[tuple[str, str]] | dict[str, str], url: str = "") -> list[str] | None:
    pairs = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.encode(), value.encode()) for name, value in pairs]
    return visible_tenants(READERS, Headers(raw=raw), QueryParams(url))


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({"authorization": "Bearer acme-key"}, ""),
        ({"authorization": "bearer  acme-key "}, ""),
        (basic("default", "acme-key"), ""),
        (basic("", "acme-key"), ""),
        ({"x-clickhouse-user": "me", "x-clickhouse-key": "acme-key"}, ""),
        ({}, "user=me&password=acme-key"),
        (basic("default", "") | {"x-clickhouse-key": "acme-key"}, ""),
        (basic("default", "acme-key"), "password=acme-key"),
    ],
)
def test_key_is_accepted_in_each_form_of_the_clients(headers: dict[str, str], url: str) -> None:
    assert tenants(headers, url) == ["acme"]


@pytest.mark.parametrize(
    ("headers", "url"),
    [
        ({}, ""),
        (basic("default", ""), ""),
        (basic("acme-key", ""), ""),
        ({"authorization": "Bearer "}, ""),
        ({"authorization": "Bearer wrong"}, ""),
        ({"authorization": "Basic %%%"}, ""),
        ({"authorization": "Digest acme-key"}, ""),
        ({"x-clickhouse-key": next(iter(READERS))}, ""),
        ({"x-clickhouse-key": "acme-key"}, "password=all-key"),
        ({"authorization": "Bearer acme-key", "x-clickhouse-key": "wrong"}, ""),
        ([("authorization", "Bearer acme-key"), ("authorization", "Bearer all-key")], ""),
        ({}, "password=acme-key&password=all-key"),
    ],
)
def test_missing_unknown_or_second_credential_is_refused(
    headers: list[tuple[str, str]] | dict[str, str], url: str
) -> None:
    with pytest.raises(QueryError, match="AUTHENTICATION_FAILED") as refused:
        tenants(headers, url)

    assert refused.value.code == 516
    assert "acme-key" not in str(refused.value)


def test_without_readers_the_port_is_open() -> None:
    assert visible_tenants(None, Headers({}), QueryParams("")) is None


@pytest.fixture(scope="module")
def clickhouse(clickhouse_path: Path) -> Iterator[ClickHouseClient]:
    clickhouse = ClickHouseClient.embedded(clickhouse_path, "credentials")
    clickhouse.migrate()
    columns = ("tenant", "kafka_topic", "kafka_offset", "request_id", "event_type", "error_message")
    own, other = "11111111-1111-1111-1111-111111111111", "22222222-2222-2222-2222-222222222222"
    rows = [
        ["acme", "t", 1, own, "RequestReceived", "own-row"],
        [CANARY, CANARY, 2, other, "RequestReceived", CANARY],
        ["", CANARY, 3, other, "DeadLettered", CANARY],
    ]
    clickhouse.insert("events_log", columns, rows)
    names = ("tenant", "request_id", "request_model", "error_message")
    clickhouse.insert("requests_log", names, [["acme", own, "t", "own-row"], [CANARY, other, CANARY, CANARY]])
    yield clickhouse
    clickhouse.close()


@pytest.fixture(scope="module")
def endpoint(clickhouse: ClickHouseClient, clickhouse_path: Path) -> Iterator[Endpoint]:
    endpoint = Endpoint(clickhouse_path, clickhouse.database, 0, READERS)
    yield endpoint
    endpoint.close()


def ask(endpoint: Endpoint, query: str, key: str = "acme-key", **url: str) -> httpx.Response:
    headers = {"X-ClickHouse-Key": key} if key else {}
    return httpx.get(f"http://127.0.0.1:{endpoint.port}/", params={"query": query} | url, headers=headers, timeout=60)


def names_of(endpoint: Endpoint, database: str) -> list[str]:
    sql = f"SELECT name FROM system.tables WHERE database = '{database}' FORMAT TSVRaw"
    return ask(endpoint, sql, "all-key").text.split()


@pytest.mark.flow
def test_request_without_a_key_is_refused_as_a_server_does(endpoint: Endpoint) -> None:
    for key in ("", "wrong"):
        response = ask(endpoint, "SELECT 1", key)

        assert (response.status_code, response.headers["x-clickhouse-exception-code"]) == (403, "516")


@pytest.mark.flow
def test_official_client_logs_in_with_a_password(endpoint: Endpoint) -> None:
    with clickhouse_connect.get_client(
        host="127.0.0.1", port=endpoint.port, password="acme-key", database="credentials"
    ) as client:
        assert client.query("SELECT tenant FROM events").result_rows == [("acme",)]
    with pytest.raises(DatabaseError, match="516"):
        clickhouse_connect.get_client(host="127.0.0.1", port=endpoint.port, password="wrong")


TRICKS = (
    "SELECT * FROM {table}",
    "SELECT * FROM {table} SETTINGS log_comment = '*'",
    "SELECT * FROM (SELECT * FROM {table} SETTINGS log_comment = '*')",
    "SELECT * FROM (SELECT * FROM {table}) WHERE ignore(1) = 0",
    "WITH x AS (SELECT * FROM {table}) SELECT * FROM x UNION ALL SELECT * FROM x",
    "SELECT throwIf(1, toString(tuple(*))) FROM {table}",
    "SELECT groupArray(tuple(*)) FROM {table}",
    "SELECT * FROM view(SELECT * FROM {table})",
    "SELECT * FROM merge(currentDatabase(), '.*')",
    "SELECT * FROM merge('system|credentials', '.*')",
    "SELECT * FROM {table} FINAL",
    "SELECT * FROM {table} PREWHERE throwIf(position(toString(tuple(*)), 'anary7f3a') > 0, toString(tuple(*))) = 0",
    "SELECT * FROM {table} WHERE throwIf(position(toString(tuple(*)), 'anary7f3a') > 0, toString(tuple(*))) = 0",
    "SELECT * FROM {table} WHERE toUInt8(toString(tuple(*))) = 1",
    "SELECT * FROM {table} AS a LEFT JOIN {table} AS b ON 1 = 1",
    "EXPLAIN indexes = 1 SELECT * FROM {table}",
    "EXPLAIN ESTIMATE SELECT * FROM {table}",
    "SELECT * FROM (EXPLAIN ESTIMATE SELECT * FROM {table})",
    "SELECT * FROM mergeTreeIndex(currentDatabase(), 'events_log')",
)


@pytest.mark.flow
@pytest.mark.parametrize("trick", TRICKS)
def test_key_of_a_tenant_never_sees_a_row_of_another(endpoint: Endpoint, trick: str) -> None:
    tables = names_of(endpoint, "credentials")
    assert {"events", "requests", "events_log", "requests_log", "unsettled", "ingest_delay"} <= set(tables)

    for table in tables:
        for chosen in ({}, {"log_comment": "*"}):
            query = trick.replace("{table}", f"credentials.`{table}`")
            assert CANARY not in ask(endpoint, query, **chosen).text, query


@pytest.mark.flow
def test_keys_see_their_own_rows_and_the_operator_all(endpoint: Endpoint) -> None:
    for table in ("events", "requests", "events_log", "requests_log"):
        query = f"SELECT count(), countIf(tenant = 'acme') FROM {table}"
        assert ask(endpoint, query).text == "1\t1\n"
        assert CANARY in ask(endpoint, f"SELECT * FROM {table}", "all-key").text
        assert ask(endpoint, f"SELECT count() FROM {table}").text == "1\n"


@pytest.mark.flow
def test_each_system_table_is_shared_or_restricted(endpoint: Endpoint) -> None:
    assert set(names_of(endpoint, "system")) == SHARED_SYSTEM_TABLES | RESTRICTED_SYSTEM_TABLES


@pytest.mark.flow
def test_key_of_a_tenant_sees_no_row_of_a_restricted_system_table(endpoint: Endpoint) -> None:
    ask(endpoint, f"SELECT throwIf(1, '{CANARY}')", "all-key")

    for table in sorted(RESTRICTED_SYSTEM_TABLES):
        text = ask(endpoint, f"SELECT * FROM system.`{table}`").text
        assert not text or text.startswith("Code: "), (table, text[:200])
        assert CANARY not in text


@pytest.mark.flow
def test_shared_system_tables_hold_no_data_of_a_tenant(endpoint: Endpoint) -> None:
    for table in sorted(SHARED_SYSTEM_TABLES):
        assert CANARY not in ask(endpoint, f"SELECT * FROM system.`{table}` LIMIT 20000").text, table
