from __future__ import annotations

import gzip
import json
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import httpx
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.endpoint import Endpoint
from connectors.clickhouse.embedded.http_endpoint import MAX_QUERY_BYTES

pytestmark = pytest.mark.flow

COLUMNS = ("tenant", "kafka_topic", "kafka_offset", "input_tokens")
BUSY = "SELECT count() FROM events WHERE tenant = 'busy'"


@pytest.fixture(scope="module")
def clickhouse(clickhouse_path: Path) -> Iterator[ClickHouseClient]:
    clickhouse = ClickHouseClient.embedded(clickhouse_path, "http")
    clickhouse.migrate()
    clickhouse.insert("events_log", COLUMNS, [["acme", "t", 1, 10], ["acme", "t", 2, 20]])
    yield clickhouse
    clickhouse.close()


@pytest.fixture(scope="module")
def endpoint(clickhouse: ClickHouseClient, clickhouse_path: Path) -> Iterator[Endpoint]:
    endpoint = Endpoint(clickhouse_path, clickhouse.database, 0)
    yield endpoint
    endpoint.close()


@pytest.fixture
def http(endpoint: Endpoint) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://127.0.0.1:{endpoint.port}", timeout=30) as client:
        yield client


@pytest.mark.parametrize("path", ["/ping", "/"])
def test_ping_returns_ok(http: httpx.Client, path: str) -> None:
    response = http.get(path)

    assert (response.status_code, response.text) == (200, "Ok.\n")


def test_query_is_read_from_the_url_the_body_or_both(http: httpx.Client) -> None:
    by_url = http.get("/", params={"query": "SELECT sum(input_tokens) FROM events"})
    by_body = http.post("/", content="SELECT sum(input_tokens) FROM events")
    by_both = http.post("/", params={"query": "SELECT sum(input_tokens)"}, content="FROM events")

    assert (by_url.text, by_body.text, by_both.text) == ("30\n", "30\n", "30\n")


def test_format_is_chosen_by_query_then_header_then_url_and_defaults_to_tab_separated(http: httpx.Client) -> None:
    url = {"default_format": "CSVWithNames"}
    header = {"X-ClickHouse-Format": "JSONEachRow"}

    responses = [
        http.get("/", params={"query": "SELECT 1 AS a FORMAT JSONCompactEachRow"} | url, headers=header),
        http.get("/", params={"query": "SELECT 1 AS a"} | url, headers=header),
        http.get("/", params={"query": "SELECT 1 AS a"} | url),
        http.get("/", params={"query": "SELECT 1 AS a"}),
    ]

    assert [response.text for response in responses] == ["[1]\n", '{"a":1}\n', '"a"\n1\n', "1\n"]
    assert [response.headers["x-clickhouse-format"] for response in responses] == [
        "JSONCompactEachRow",
        "JSONEachRow",
        "CSVWithNames",
        "TabSeparated",
    ]


def test_format_header_names_a_format_that_the_engine_quotes(http: httpx.Client) -> None:
    response = http.get("/", params={"query": "SELECT 1 FORMAT Null"})

    assert (response.status_code, response.content, response.headers["x-clickhouse-format"]) == (200, b"", "Null")


def test_query_parameters_are_bound_by_the_engine(http: httpx.Client) -> None:
    response = http.get("/", params={"query": "SELECT {a:String}, {n:UInt8}", "param_a": "' OR 1", "param_n": "7"})

    assert response.text == "\\' OR 1\t7\n"


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("SELECT (", 400, "62"),
        ("SELECT nothing FROM events", 404, "47"),
        ("SELECT * FROM nothing", 404, "60"),
        ("SELECT toUInt8('x')", 400, "6"),
        ("DROP TABLE events_log", 403, "164"),
        ("SELECT throwIf(1)", 500, "395"),
    ],
)
def test_error_has_status_header_and_body_of_a_clickhouse_server(
    http: httpx.Client, query: str, status: int, code: str
) -> None:
    response = http.get("/", params={"query": query})

    assert response.status_code == status
    assert response.headers["x-clickhouse-exception-code"] == code
    assert response.text.startswith(f"Code: {code}. DB::Exception: ")


def test_response_headers_have_the_summary_and_the_query_id(http: httpx.Client) -> None:
    response = http.get("/", params={"query": "SELECT count() FROM events WHERE tenant = 'acme'", "query_id": "mine"})

    assert response.headers["x-clickhouse-query-id"] == "mine"
    assert int(json.loads(response.headers["x-clickhouse-summary"])["read_rows"]) >= 2


def test_request_with_a_foreign_host_header_is_refused(http: httpx.Client) -> None:
    response = http.get("/", params={"query": "SELECT 1"}, headers={"Host": "rebound.example:8123"})

    assert response.status_code == 403
    assert "loopback" in response.text


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"SELECT '" + b"x" * MAX_QUERY_BYTES + b"'", {}, 400),
        (b"SELECT '\xff'", {}, 400),
        (gzip.compress(b"SELECT 1", mtime=0), {"Content-Encoding": "gzip"}, 501),
    ],
)
def test_oversized_undecodable_or_compressed_body_is_refused(
    http: httpx.Client, content: bytes, headers: dict[str, str], status: int
) -> None:
    response = http.post("/", content=content, headers=headers)

    assert response.status_code == status
    assert response.text.startswith("Code: ")


def test_endpoint_listens_on_loopback_only(endpoint: Endpoint) -> None:
    assert endpoint._socket.getsockname()[0] == "127.0.0.1"


def test_taken_port_is_an_error_of_the_constructor(endpoint: Endpoint, clickhouse_path: Path) -> None:
    with pytest.raises(OSError, match="in use"):
        Endpoint(clickhouse_path, "http", endpoint.port)


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl on this machine")
def test_curl_can_query_the_endpoint(endpoint: Endpoint) -> None:
    url = f"http://127.0.0.1:{endpoint.port}/"

    completed = subprocess.run(
        ["curl", "-sS", "--data-binary", "SELECT count() FROM events", url], capture_output=True, check=True, timeout=30
    )

    assert completed.stdout == b"2\n"


def test_clickhouse_connect_reads_rows_data_frames_and_arrow(endpoint: Endpoint) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=endpoint.port, username="ada", database="http")

    rows = client.query(
        "SELECT kafka_offset FROM events WHERE tenant = {t:String} ORDER BY 1", parameters={"t": "acme"}
    )
    frame = client.query_df("SELECT input_tokens FROM events ORDER BY kafka_offset")
    arrow = client.query_arrow("SELECT event_time, labels FROM events")

    assert rows.result_rows == [(1,), (2,)]
    assert list(frame["input_tokens"]) == [10, 20]
    assert arrow.num_rows == 2
    with pytest.raises(DatabaseError, match="READONLY"):
        client.command("TRUNCATE TABLE events_log")
    client.close()


def test_clickhouse_client_reads_rows_and_error_codes(endpoint: Endpoint) -> None:
    reader = ClickHouseClient.server(f"http://127.0.0.1:{endpoint.port}", "http", read_only=True)

    assert reader.rows("SELECT sum(input_tokens) AS n FROM events") == [{"n": 30}]
    with pytest.raises(ClickHouseError, match=r"^ClickHouse refused the query: Code: 60\.") as raised:
        reader.rows("SELECT * FROM nothing")
    assert raised.value.code == 60
    reader.close()


def test_format_of_the_query_overrides_the_format_of_the_clickhouse_client(endpoint: Endpoint) -> None:
    reader = ClickHouseClient.server(f"http://127.0.0.1:{endpoint.port}", "http", read_only=True)

    assert reader.query("SELECT 1 AS n", "CSVWithNames") == b'"n"\n1\n'
    assert reader.query("SELECT 1 AS n FORMAT TSV", "CSVWithNames") == b"1\n"
    reader.close()


def test_error_of_a_missing_database_names_sluice_migrate(endpoint: Endpoint) -> None:
    reader = ClickHouseClient.server(f"http://127.0.0.1:{endpoint.port}", "elsewhere", read_only=True)

    with pytest.raises(ClickHouseError, match="no database elsewhere: run sluice migrate"):
        reader.rows("SELECT 1")


def test_queries_are_answered_while_rows_are_inserted(endpoint: Endpoint, clickhouse: ClickHouseClient) -> None:
    client = clickhouse_connect.get_client(host="127.0.0.1", port=endpoint.port, database="http")

    def insert_rows() -> None:
        for number in range(20):
            clickhouse.insert("events_log", COLUMNS, [["busy", "t", number, 1]])

    writer = threading.Thread(target=insert_rows)
    writer.start()
    counts: list[int] = []
    while writer.is_alive():
        counts.append(int(str(client.command(BUSY))))
    writer.join()
    deadline = time.monotonic() + 20
    while counts[-1] != 20:
        assert time.monotonic() < deadline
        counts.append(int(str(client.command(BUSY))))

    assert counts == sorted(counts)
    client.close()


def test_close_frees_the_port(clickhouse_path: Path, clickhouse: ClickHouseClient) -> None:
    endpoint = Endpoint(clickhouse_path, "http", 0)
    httpx.get(f"http://127.0.0.1:{endpoint.port}/ping")

    endpoint.close()

    with socket.create_server(("127.0.0.1", endpoint.port)):
        pass


def test_close_cancels_a_long_query_within_10_s(clickhouse_path: Path, clickhouse: ClickHouseClient) -> None:
    endpoint = Endpoint(clickhouse_path, "http", 0)
    responses: list[httpx.Response] = []

    def send_query() -> None:
        query = "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)"
        responses.append(httpx.get(f"http://127.0.0.1:{endpoint.port}/", params={"query": query}, timeout=60))

    query_thread = threading.Thread(target=send_query)
    query_thread.start()
    running = "SELECT count() FROM system.processes WHERE query LIKE 'SELECT sum(sipHash64%'"
    deadline = time.monotonic() + 20
    while httpx.get(f"http://127.0.0.1:{endpoint.port}/", params={"query": running}, timeout=60).text != "1\n":
        assert time.monotonic() < deadline
    started = time.monotonic()

    endpoint.close()
    query_thread.join()

    assert time.monotonic() - started < 10
    assert responses[0].headers["x-clickhouse-exception-code"] == "394"
