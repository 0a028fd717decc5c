from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient, ClickHouseError

pytestmark = pytest.mark.flow

COLUMNS = ("id", "at", "cost")


@pytest.fixture
def prices(empty_clickhouse: ClickHouseClient) -> ClickHouseClient:
    empty_clickhouse.command(
        "CREATE TABLE prices (id UUID, at DateTime64(3, 'UTC'), cost Nullable(Decimal(18, 12)))"
        " ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 10"
    )
    return empty_clickhouse


def row(number: int, cost: str | None = "0.000000000001") -> list[object]:
    return [f"00000000-0000-4000-8000-{number:012d}", 1_700_000_000_123, cost]


def test_inserted_timestamps_and_decimals_are_stored_exactly(prices: ClickHouseClient) -> None:
    prices.insert("prices", COLUMNS, [row(1), row(2, None)])

    lines = prices.query("SELECT id, at, cost FROM prices ORDER BY id", "TSV").decode().splitlines()

    assert lines == [
        "00000000-0000-4000-8000-000000000001\t2023-11-14 22:13:20.123\t0.000000000001",
        "00000000-0000-4000-8000-000000000002\t2023-11-14 22:13:20.123\t\\N",
    ]


def test_insert_with_the_same_token_is_deduplicated(prices: ClickHouseClient) -> None:
    prices.insert("prices", COLUMNS, [row(1)], token="a")
    prices.insert("prices", COLUMNS, [row(1)], token="a")
    prices.insert("prices", COLUMNS, [row(1)], token="b")

    assert prices.rows("SELECT count() AS n FROM prices") == [{"n": 2}]


def test_insert_without_rows_does_not_connect() -> None:
    unreachable = ClickHouseClient.server("http://127.0.0.1:1")

    unreachable.insert("prices", COLUMNS, [])


def test_insert_columns_stores_one_row_per_position(prices: ClickHouseClient) -> None:
    prices.insert_columns("prices", COLUMNS, list(zip(row(1), row(2, None), strict=True)))

    lines = prices.query("SELECT id, cost FROM prices ORDER BY id", "TSV").decode().splitlines()

    assert lines == [
        "00000000-0000-4000-8000-000000000001\t0.000000000001",
        "00000000-0000-4000-8000-000000000002\t\\N",
    ]


@pytest.mark.parametrize("column", [0, 1, 2])
def test_columns_of_different_lengths_are_refused_and_the_next_insert_succeeds(
    prices: ClickHouseClient, column: int
) -> None:
    columns = [list(values) for values in zip(row(1), row(2), strict=True)]
    columns[column].pop()

    with pytest.raises(ClickHouseError, match="the columns for prices differ in length"):
        prices.insert_columns("prices", COLUMNS, columns)
    prices.insert("prices", COLUMNS, [row(1)])

    assert prices.rows("SELECT count() AS n FROM prices") == [{"n": 1}]


def test_parameters_are_bound_by_the_engine(empty_clickhouse: ClickHouseClient) -> None:
    result_rows = empty_clickhouse.rows("SELECT {name:String} AS name, {n:UInt8} AS n", {"name": "O'Neill\n\\", "n": 3})

    assert result_rows == [{"name": "O'Neill\n\\", "n": 3}]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1 AS n", b'"n"\n1\n'),
        ("SELECT 1 AS n; -- FORMAT TSV", b'"n"\n1\n'),
        ("SELECT 'x FORMAT y' AS n", b'"n"\n"x FORMAT y"\n'),
        ("SELECT 1 AS n FORMAT TSV", b"1\n"),
        ("SELECT 1 AS n\nformat TSV SETTINGS max_threads = 1;", b"1\n"),
        ("SELECT 1 AS n FORMAT Null", b""),
    ],
)
def test_format_of_the_query_overrides_the_default_format(
    empty_clickhouse: ClickHouseClient, sql: str, expected: bytes
) -> None:
    assert empty_clickhouse.query(sql, "CSVWithNames") == expected


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT 1; SELECT 2"])
def test_syntax_error_has_the_message_of_the_engine_without_the_wrapper_query(
    empty_clickhouse: ClickHouseClient, sql: str
) -> None:
    with pytest.raises(
        ClickHouseError, match=r"^ClickHouse refused the query: Code: 62\. .*\(SYNTAX_ERROR\)"
    ) as raised:
        empty_clickhouse.query(sql)

    assert "formatQuery" not in str(raised.value)


@pytest.mark.parametrize(
    "sql", ["SELECT 1 INTO OUTFILE '{path}' FORMAT CSV", "select 1 into/**/outfile '{path}' truncate"]
)
def test_read_only_client_refuses_into_outfile(
    empty_clickhouse: ClickHouseClient, clickhouse_path: Path, tmp_path: Path, sql: str
) -> None:
    empty_clickhouse.command("SELECT 1")
    reader = ClickHouseClient.embedded(clickhouse_path, empty_clickhouse.database, read_only=True)

    with pytest.raises(ClickHouseError, match="INTO OUTFILE would write to this machine's files"):
        reader.query(sql.replace("{path}", str(tmp_path / "out")))

    assert list(tmp_path.iterdir()) == []
    reader.close()


def test_unqualified_names_refer_to_the_database_of_the_client(prices: ClickHouseClient) -> None:
    assert prices.rows("SELECT currentDatabase() AS name, count() AS rows FROM prices") == [
        {"name": prices.database, "rows": 0}
    ]


def test_table_of_another_database_is_unknown(prices: ClickHouseClient, clickhouse_path: Path) -> None:
    other = ClickHouseClient.embedded(clickhouse_path, "other")

    with pytest.raises(ClickHouseError, match="UNKNOWN_TABLE"):
        other.rows("SELECT * FROM prices")

    other.close()


def test_error_of_a_refused_query_has_code_and_message_of_the_engine(empty_clickhouse: ClickHouseClient) -> None:
    with pytest.raises(ClickHouseError, match=r"refused the query.*nothing_here") as raised:
        empty_clickhouse.rows("SELECT * FROM nothing_here")

    assert (raised.value.code, raised.value.unavailable) == (60, False)


def test_error_of_an_insert_does_not_contain_the_values(
    prices: ClickHouseClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClickHouseError, match="the insert into prices") as raised:
        prices.insert("prices", COLUMNS, [["my secret", 0, None]])

    assert "secret" not in str(raised.value)
    assert "secret" not in caplog.text
    assert not raised.value.unavailable


def test_failed_insert_stores_no_rows_and_the_next_insert_succeeds(prices: ClickHouseClient) -> None:
    with pytest.raises(ClickHouseError):
        prices.insert("prices", COLUMNS, [row(1), ["no id", 0, None]])

    prices.insert("prices", COLUMNS, [row(2)])

    assert prices.rows("SELECT count() AS n FROM prices") == [{"n": 1}]


def test_insert_is_unavailable_with_the_system_error_if_no_temporary_file_can_be_written(
    prices: ClickHouseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))

    with pytest.raises(ClickHouseError, match=r"the insert into prices at .* failed: No such file") as raised:
        prices.insert("prices", COLUMNS, [row(1)])

    assert raised.value.unavailable


def test_unreachable_server_is_unavailable_and_its_password_is_not_shown(caplog: pytest.LogCaptureFixture) -> None:
    unreachable = ClickHouseClient.server("http://writer:s%65cret@127.0.0.1:1/")

    with pytest.raises(ClickHouseError, match=r"ClickHouse at http://127\.0\.0\.1:1 can't be reached") as raised:
        unreachable.rows("SELECT 1")

    assert raised.value.unavailable
    assert "secret" not in f"{raised.value!r} {raised.value.__cause__!r} {unreachable.address}"
    assert caplog.text == ""


def test_server_that_accepts_connections_but_does_not_respond_is_unavailable_after_the_reachability_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectors.clickhouse.reachability.ALIVE_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]

        with pytest.raises(ClickHouseError, match=f":{port} can't be reached: no response within 0.2 s") as raised:
            ClickHouseClient.server(f"http://127.0.0.1:{port}").rows("SELECT 1")

    assert raised.value.unavailable


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1:1', 'system.one')",
        "SELECT * FROM s3('http://127.0.0.1:1/bucket/key', 'TSV', 'a String')",
        "SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')",
        "SELECT * FROM default.`/etc/passwd`",
        "INSERT INTO FUNCTION file('/tmp/sluice-must-not-be', 'TSV', 'a UInt8') SELECT 1",
        "CREATE TABLE reader (line String) ENGINE = File('LineAsString', '/etc/passwd')",
    ],
)
def test_embedded_engine_can_not_access_files_or_the_network(empty_clickhouse: ClickHouseClient, sql: str) -> None:
    with pytest.raises(ClickHouseError, match="ACCESS_DENIED") as raised:
        empty_clickhouse.command(sql)

    assert raised.value.code == 497


def test_close_is_idempotent(clickhouse_path: Path) -> None:
    clickhouse = ClickHouseClient.embedded(clickhouse_path, "closing")
    clickhouse.rows("SELECT 1")

    clickhouse.close()
    clickhouse.close()

    assert clickhouse.rows("SELECT 1 AS one") == [{"one": 1}]


def test_read_only_client_can_query_but_not_write(prices: ClickHouseClient, clickhouse_path: Path) -> None:
    prices.insert("prices", COLUMNS, [row(1)])
    reader = ClickHouseClient.embedded(clickhouse_path, prices.database, read_only=True)

    with pytest.raises(ClickHouseError, match="READONLY"):
        reader.command("TRUNCATE TABLE prices")

    assert reader.query("SELECT count() FROM prices", "TSV") == b"1\n"
    reader.close()


HOLDER_PROGRAM = """
import pathlib, sys
from connectors.clickhouse import ClickHouseClient
clickhouse = ClickHouseClient.embedded(pathlib.Path(sys.argv[1]))
clickhouse.rows("SELECT 1")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def directory_in_use(tmp_path: Path) -> Iterator[Path]:
    """A ClickHouse directory that another process has open."""
    path = tmp_path / "clickhouse"
    command = [sys.executable, "-c", HOLDER_PROGRAM, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        yield path


def test_directory_in_use_by_another_process_is_an_error_without_output_of_the_engine(
    directory_in_use: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClickHouseError, match=r"the ClickHouse files under .* are in use: wait for Ada$") as raised:
        ClickHouseClient.embedded(directory_in_use, holders="wait for Ada").rows("SELECT 1")

    assert raised.value.unavailable
    assert capfd.readouterr() == ("", "")


def test_status_file_without_a_lock_does_not_count_as_in_use(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("PID: 1\nStarted at: 2026-11-24 09:30:00\n")

    with pytest.raises(
        ClickHouseError, match="can't be opened: another process uses them, or this process uses another path"
    ):
        ClickHouseClient.embedded(tmp_path).rows("SELECT 1")  # fails because this process has the tests' path open


def test_second_path_in_one_process_is_an_error(clickhouse_path: Path, tmp_path: Path) -> None:
    second = ClickHouseClient.embedded(tmp_path / "other")

    with pytest.raises(
        ClickHouseError, match="can't be opened: another process uses them, or this process uses another path"
    ):
        second.rows("SELECT 1")
