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


def test_rows_go_in_as_milliseconds_and_text_and_come_back_exact(prices: ClickHouseClient) -> None:
    prices.insert("prices", COLUMNS, [row(1), row(2, None)])

    lines = prices.query("SELECT id, at, cost FROM prices ORDER BY id", "TSV").decode().splitlines()

    assert lines == [
        "00000000-0000-4000-8000-000000000001\t2023-11-14 22:13:20.123\t0.000000000001",
        "00000000-0000-4000-8000-000000000002\t2023-11-14 22:13:20.123\t\\N",
    ]


def test_the_same_token_twice_adds_rows_once(prices: ClickHouseClient) -> None:
    prices.insert("prices", COLUMNS, [row(1)], token="a")
    prices.insert("prices", COLUMNS, [row(1)], token="a")
    prices.insert("prices", COLUMNS, [row(1)], token="b")

    assert prices.rows("SELECT count() AS n FROM prices") == [{"n": 2}]


def test_no_rows_need_no_engine() -> None:
    nowhere = ClickHouseClient.server("http://127.0.0.1:1")

    nowhere.insert("prices", COLUMNS, [])


def test_columns_go_in_as_rows_of_them(prices: ClickHouseClient) -> None:
    prices.insert_columns("prices", COLUMNS, list(zip(row(1), row(2, None), strict=True)))

    lines = prices.query("SELECT id, cost FROM prices ORDER BY id", "TSV").decode().splitlines()

    assert lines == [
        "00000000-0000-4000-8000-000000000001\t0.000000000001",
        "00000000-0000-4000-8000-000000000002\t\\N",
    ]


@pytest.mark.parametrize("column", [0, 1, 2])
def test_columns_of_different_lengths_are_refused_and_no_others_after_them(
    prices: ClickHouseClient, column: int
) -> None:
    columns = [list(values) for values in zip(row(1), row(2), strict=True)]
    columns[column].pop()

    with pytest.raises(ClickHouseError, match="the columns for prices differ in length"):
        prices.insert_columns("prices", COLUMNS, columns)
    prices.insert("prices", COLUMNS, [row(1)])

    assert prices.rows("SELECT count() AS n FROM prices") == [{"n": 1}]


def test_parameters_are_bound_by_the_engine(empty_clickhouse: ClickHouseClient) -> None:
    rows = empty_clickhouse.rows("SELECT {name:String} AS name, {n:UInt8} AS n", {"name": "O'Neill\n\\", "n": 3})

    assert rows == [{"name": "O'Neill\n\\", "n": 3}]


@pytest.mark.parametrize(
    ("sql", "answer"),
    [
        ("SELECT 1 AS n", b'"n"\n1\n'),
        ("SELECT 1 AS n; -- FORMAT TSV", b'"n"\n1\n'),
        ("SELECT 'x FORMAT y' AS n", b'"n"\n"x FORMAT y"\n'),
        ("SELECT 1 AS n FORMAT TSV", b"1\n"),
        ("SELECT 1 AS n\nformat TSV SETTINGS max_threads = 1;", b"1\n"),
        ("SELECT 1 AS n FORMAT Null", b""),
    ],
)
def test_a_format_that_the_query_names_wins(empty_clickhouse: ClickHouseClient, sql: str, answer: bytes) -> None:
    assert empty_clickhouse.query(sql, "CSVWithNames") == answer


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT 1; SELECT 2"])
def test_what_is_no_query_is_refused_in_the_engines_words_and_not_in_ours(
    empty_clickhouse: ClickHouseClient, sql: str
) -> None:
    with pytest.raises(
        ClickHouseError, match=r"^ClickHouse refused the query: Code: 62\. .*\(SYNTAX_ERROR\)"
    ) as caught:
        empty_clickhouse.query(sql)

    assert "formatQuery" not in str(caught.value)


@pytest.mark.parametrize(
    "sql", ["SELECT 1 INTO OUTFILE '{path}' FORMAT CSV", "select 1 into/**/outfile '{path}' truncate"]
)
def test_a_reader_has_nothing_written_to_a_file(
    empty_clickhouse: ClickHouseClient, clickhouse_path: Path, tmp_path: Path, sql: str
) -> None:
    empty_clickhouse.command("SELECT 1")
    reader = ClickHouseClient.embedded(clickhouse_path, empty_clickhouse.database, read_only=True)

    with pytest.raises(ClickHouseError, match="INTO OUTFILE would write to this machine's files"):
        reader.query(sql.replace("{path}", str(tmp_path / "out")))

    assert list(tmp_path.iterdir()) == []
    reader.close()


def test_unqualified_names_mean_the_database_that_was_asked_for(prices: ClickHouseClient) -> None:
    assert prices.rows("SELECT currentDatabase() AS name, count() AS rows FROM prices") == [
        {"name": prices.database, "rows": 0}
    ]


def test_two_databases_of_one_engine_do_not_see_each_other(prices: ClickHouseClient, clickhouse_path: Path) -> None:
    other = ClickHouseClient.embedded(clickhouse_path, "other")

    with pytest.raises(ClickHouseError, match="UNKNOWN_TABLE"):
        other.rows("SELECT * FROM prices")

    other.close()


def test_a_refused_query_is_told_with_its_code_and_what_the_engine_said(empty_clickhouse: ClickHouseClient) -> None:
    with pytest.raises(ClickHouseError, match=r"refused the query.*nothing_here") as caught:
        empty_clickhouse.rows("SELECT * FROM nothing_here")

    assert (caught.value.code, caught.value.unavailable) == (60, False)


def test_an_error_of_an_insert_does_not_repeat_what_was_inserted(
    prices: ClickHouseClient, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ClickHouseError, match="the insert into prices") as caught:
        prices.insert("prices", COLUMNS, [["my secret", 0, None]])

    assert "secret" not in str(caught.value)
    assert "secret" not in caplog.text
    assert not caught.value.unavailable


def test_a_failed_insert_adds_none_of_its_rows_and_the_next_one_works(prices: ClickHouseClient) -> None:
    with pytest.raises(ClickHouseError):
        prices.insert("prices", COLUMNS, [row(1), ["no id", 0, None]])

    prices.insert("prices", COLUMNS, [row(2)])

    assert prices.rows("SELECT count() AS n FROM prices") == [{"n": 1}]


def test_rows_that_could_not_be_handed_to_the_engine_are_to_be_tried_again_and_the_system_says_why(
    prices: ClickHouseClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "missing"))

    with pytest.raises(ClickHouseError, match=r"the insert into prices at .* failed: No such file") as caught:
        prices.insert("prices", COLUMNS, [row(1)])

    assert caught.value.unavailable


def test_a_server_that_is_away_is_unavailable_and_its_password_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    nowhere = ClickHouseClient.server("http://writer:s%65cret@127.0.0.1:1/")

    with pytest.raises(ClickHouseError, match=r"ClickHouse at http://127\.0\.0\.1:1 can't be reached") as caught:
        nowhere.rows("SELECT 1")

    assert caught.value.unavailable
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r} {nowhere.address}"
    assert caplog.text == ""


def test_whoever_takes_connections_and_says_nothing_is_not_waited_for_as_long_as_a_query(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("connectors.clickhouse.reachability.ALIVE_TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]

        with pytest.raises(ClickHouseError, match=f":{port} can't be reached: no response within 0.2 s") as caught:
            ClickHouseClient.server(f"http://127.0.0.1:{port}").rows("SELECT 1")

    assert caught.value.unavailable


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
def test_the_engine_in_process_has_no_right_to_the_machine_or_the_network(
    empty_clickhouse: ClickHouseClient, sql: str
) -> None:
    with pytest.raises(ClickHouseError, match="ACCESS_DENIED") as caught:
        empty_clickhouse.command(sql)

    assert caught.value.code == 497


def test_closing_twice_is_allowed(clickhouse_path: Path) -> None:
    clickhouse = ClickHouseClient.embedded(clickhouse_path, "closing")
    clickhouse.rows("SELECT 1")

    clickhouse.close()
    clickhouse.close()

    assert clickhouse.rows("SELECT 1 AS one") == [{"one": 1}]


def test_a_reader_may_look_and_not_touch(prices: ClickHouseClient, clickhouse_path: Path) -> None:
    prices.insert("prices", COLUMNS, [row(1)])
    reader = ClickHouseClient.embedded(clickhouse_path, prices.database, read_only=True)

    with pytest.raises(ClickHouseError, match="READONLY"):
        reader.command("TRUNCATE TABLE prices")

    assert reader.query("SELECT count() FROM prices", "TSV") == b"1\n"
    reader.close()


OTHER = """
import pathlib, sys
from connectors.clickhouse import ClickHouseClient
clickhouse = ClickHouseClient.embedded(pathlib.Path(sys.argv[1]))
clickhouse.rows("SELECT 1")
print("open", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def of_another_process(tmp_path: Path) -> Iterator[Path]:
    """Files that a process of its own has."""
    path = tmp_path / "clickhouse"
    command = [sys.executable, "-c", OTHER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        yield path


def test_files_that_another_process_has_are_said_to_be_in_use_by_us_and_not_by_the_engine(
    of_another_process: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ClickHouseError, match=r"the ClickHouse files under .* are in use: wait for Ada$") as caught:
        ClickHouseClient.embedded(of_another_process, holders="wait for Ada").rows("SELECT 1")

    assert caught.value.unavailable
    assert capfd.readouterr() == ("", "")


def test_what_a_process_left_behind_is_in_nobodys_use(tmp_path: Path) -> None:
    (tmp_path / "status").write_text("PID: 1\nStarted at: 2026-11-24 09:30:00\n")

    with pytest.raises(
        ClickHouseError, match="can't be opened: another process uses them, or this process uses another path"
    ):
        ClickHouseClient.embedded(tmp_path).rows("SELECT 1")  # others, as the tests have


def test_one_process_has_one_path(clickhouse_path: Path, tmp_path: Path) -> None:
    second = ClickHouseClient.embedded(tmp_path / "other")

    with pytest.raises(
        ClickHouseError, match="can't be opened: another process uses them, or this process uses another path"
    ):
        second.rows("SELECT 1")
