from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient
from connectors.clickhouse.embedded.query_guard import LIMITS, QueryError
from connectors.clickhouse.embedded.read_only import ReadOnlyEngine, escape

pytestmark = pytest.mark.flow


@pytest.fixture(scope="module")
def clickhouse(clickhouse_path: Path) -> Iterator[ClickHouseClient]:
    """One database for all of these: they must not be able to change it."""
    clickhouse = ClickHouseClient.embedded(clickhouse_path, "readonly")
    clickhouse.migrate()
    yield clickhouse
    clickhouse.close()


@pytest.fixture(scope="module")
def reader(clickhouse: ClickHouseClient, clickhouse_path: Path) -> ReadOnlyEngine:
    return ReadOnlyEngine(clickhouse_path, clickhouse.database)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.txt"
    path.write_text("hunter2\n")
    return path


def test_unqualified_names_mean_our_database(reader: ReadOnlyEngine, clickhouse: ClickHouseClient) -> None:
    answer = reader.run("SELECT currentDatabase(), count() FROM events")

    assert answer.content == f"{clickhouse.database}\t0\n".encode()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "(SELECT 1)",
        "WITH 1 AS one SELECT one",
        "FROM requests SELECT count()",
        "SHOW TABLES",
        "DESCRIBE events",
        "EXISTS TABLE events",
        "EXPLAIN SELECT 1",
        "SELECT number FROM numbers(3)",
        "SELECT format('{}', 'INTO OUTFILE file(1)')",
        "SELECT 1 /* DROP TABLE */ -- INTO OUTFILE 'x'",
        "SELECT 1;",
    ],
)
def test_whatever_only_reads_our_tables_runs(reader: ReadOnlyEngine, sql: str) -> None:
    answer = reader.run(sql)

    assert answer.content


@pytest.mark.parametrize(
    "sql",
    [
        "DROP TABLE events_log",
        "TRUNCATE TABLE events_log",
        "INSERT INTO events_log (tenant) VALUES ('x')",
        "INSERT INTO events_log SELECT * FROM events_log",
        "ALTER TABLE events_log DELETE WHERE 1",
        "OPTIMIZE TABLE events_log FINAL",
        "CREATE TABLE x (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE x (a Int8)",
        "SET readonly = 0",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1 SETTINGS max_execution_time = 0",
        "USE system",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "BACKUP TABLE events_log TO File('/tmp/sluice-must-not-be')",
    ],
)
def test_whatever_would_change_something_is_refused(reader: ReadOnlyEngine, sql: str) -> None:
    with pytest.raises(QueryError, match=r"\((READONLY|ACCESS_DENIED)\)$"):
        reader.run(sql)


def test_a_second_statement_does_not_hide_behind_the_first(reader: ReadOnlyEngine) -> None:
    with pytest.raises(QueryError, match="Multi-statements are not allowed") as caught:
        reader.run("SELECT 1; DROP TABLE events_log")

    assert caught.value.code == 62
    assert "formatQuery" not in str(caught.value)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM file('{path}', 'LineAsString')",
        "SELECT file('{path}')",
        "SELECT `file`('{path}')",
        "SELECT file/**/('{path}')",
        "SELECT * APPLY file FROM (SELECT '{path}')",
        "SELECT * APPLY(x -> file(x)) FROM (SELECT '{path}')",
        "SELECT * FROM view(SELECT file('{path}'))",
        "DESCRIBE file('{path}', 'LineAsString')",
        "SELECT * FROM default.`{path}`",
        "SELECT * FROM `{path}`",
        "SELECT * FROM fileCluster('default', '{path}', 'LineAsString')",
        "SELECT * FROM executable('cat', 'TSV', 'a String', (SELECT 1))",
        "SELECT * FROM Python(os)",
        "SELECT * FROM eval('SELECT 1')",
        "SELECT * FROM sqlite('{path}', 'x')",
    ],
)
def test_files_and_programs_of_the_machine_are_out_of_reach(reader: ReadOnlyEngine, secret: Path, sql: str) -> None:
    with pytest.raises(QueryError) as caught:
        reader.run(sql.replace("{path}", str(secret)))

    assert caught.value.code in {60, 497}
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "sql", ["SELECT 1 INTO OUTFILE '{path}'", "EXPLAIN SELECT 1 INTO/**/OUTFILE '{path}' FORMAT CSV"]
)
def test_nothing_is_written_to_a_file(reader: ReadOnlyEngine, tmp_path: Path, sql: str) -> None:
    path = tmp_path / "out"

    with pytest.raises(QueryError, match="ACCESS_DENIED"):
        reader.run(sql.replace("{path}", str(path)))

    assert not path.exists()


@pytest.mark.parametrize(
    "source",
    [
        "url('http://127.0.0.1:{port}/', 'LineAsString')",
        "remote('127.0.0.1:{port}', 'system.one')",
        "s3('http://127.0.0.1:{port}/bucket/key', 'TSV', 'a String')",
        "mysql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
        "postgresql('127.0.0.1:{port}', 'a', 'b', 'c', 'd')",
        "redis('127.0.0.1:{port}', 'a', 'a String')",
        "(SELECT aiGenerate('x', map('credentials', 'http://127.0.0.1:{port}/')))",
    ],
)
def test_no_query_reaches_out(reader: ReadOnlyEngine, unused_tcp_port: int, source: str) -> None:
    with pytest.raises(QueryError, match="not allowed here"):
        reader.run(f"SELECT * FROM {source.replace('{port}', str(unused_tcp_port))}")


def test_every_table_function_of_the_engine_is_refused_unless_we_know_it(
    reader: ReadOnlyEngine, clickhouse: ClickHouseClient
) -> None:
    known = [row["name"] for row in clickhouse.rows("SELECT name FROM system.table_functions")]
    allowed = "numbers zeros generate_?series values view null format numbers_mt zeros_mt"

    for name in known:
        if not any(re.fullmatch(pattern, name, re.IGNORECASE) for pattern in allowed.split()):
            with pytest.raises(QueryError, match=r"ACCESS_DENIED|READONLY|SYNTAX_ERROR"):
                reader.run(f"SELECT * FROM {name}()")


def test_parameters_are_bound_by_the_engine(reader: ReadOnlyEngine) -> None:
    answer = reader.run("SELECT {a:String} AS a FORMAT JSONEachRow", parameters={"a": escape("it's\t\n\\ü")})

    assert json.loads(answer.content) == {"a": "it's\t\n\\ü"}
    assert answer.format == "JSONEachRow"


def test_limits_can_be_lowered_and_not_lifted(reader: ReadOnlyEngine) -> None:
    sql = "SELECT getSetting('max_execution_time'), getSetting('max_threads')"

    lowered = reader.run(sql, settings={"max_execution_time": "1.5"}).content
    lifted = reader.run(sql, settings={"max_execution_time": "0", "max_threads": "64"}).content

    assert lowered == f"1.5\t{LIMITS['max_threads']}\n".encode()
    assert lifted == f"60\t{LIMITS['max_threads']}\n".encode()


def test_settings_of_the_answers_look_are_taken_and_others_refused(reader: ReadOnlyEngine) -> None:
    answer = reader.run(
        "SELECT toInt64(1) AS n", "JSONEachRow", settings={"output_format_json_quote_64bit_integers": "1"}
    )

    assert answer.content == b'{"n":"1"}\n'
    with pytest.raises(QueryError, match="Cannot modify 'allow_ddl'"):
        reader.run("SELECT 1", settings={"allow_ddl": "1"})


def test_a_table_has_no_colours_unless_the_reader_wants_them(reader: ReadOnlyEngine) -> None:
    assert b"\x1b" not in reader.run("SELECT 1 AS n", "Pretty").content
    assert b"\x1b" in reader.run("SELECT 1 AS n", "Pretty", settings={"output_format_pretty_color": "1"}).content


def test_one_query_leaves_nothing_behind_for_the_next(reader: ReadOnlyEngine, clickhouse: ClickHouseClient) -> None:
    reader.run("SELECT 1", database="system", settings={"session_timezone": "Asia/Tokyo"})

    assert reader.run("SELECT currentDatabase(), timezone()").content.startswith(clickhouse.database.encode())
    assert b"Tokyo" not in reader.run("SELECT timezone()").content


def test_a_query_that_takes_too_long_is_ended(reader: ReadOnlyEngine) -> None:
    with pytest.raises(QueryError, match="Timeout exceeded") as caught:
        reader.run("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", settings={"max_execution_time": "0.2"})

    assert caught.value.code == 159


def test_rows_go_in_while_a_long_query_runs(reader: ReadOnlyEngine, clickhouse: ClickHouseClient) -> None:
    ended = threading.Event()

    def long_query() -> None:
        with pytest.raises(QueryError, match="Timeout"):
            reader.run(
                "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", settings={"max_execution_time": "2"}
            )
        ended.set()

    thread = threading.Thread(target=long_query)
    thread.start()
    for number in range(5):
        clickhouse.insert("events_log", ("tenant", "kafka_offset"), [["during", number]])
    inserted_meanwhile = not ended.is_set()
    thread.join()

    assert inserted_meanwhile
    assert clickhouse.rows("SELECT count() AS n FROM events WHERE tenant = 'during'") == [{"n": 5}]
