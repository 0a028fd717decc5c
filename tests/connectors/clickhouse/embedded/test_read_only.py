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
    """A database that all tests of this module share, because their queries cannot change it."""
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


def test_unqualified_names_refer_to_the_database_of_the_engine(
    reader: ReadOnlyEngine, clickhouse: ClickHouseClient
) -> None:
    result = reader.run("SELECT currentDatabase(), count() FROM events")

    assert result.content == f"{clickhouse.database}\t0\n".encode()


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
def test_reading_query_is_allowed(reader: ReadOnlyEngine, sql: str) -> None:
    result = reader.run(sql)

    assert result.content


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
def test_writing_query_is_refused(reader: ReadOnlyEngine, sql: str) -> None:
    with pytest.raises(QueryError, match=r"\((READONLY|ACCESS_DENIED)\)$"):
        reader.run(sql)


def test_second_statement_is_refused(reader: ReadOnlyEngine) -> None:
    with pytest.raises(QueryError, match="Multi-statements are not allowed") as raised:
        reader.run("SELECT 1; DROP TABLE events_log")

    assert raised.value.code == 62
    assert "formatQuery" not in str(raised.value)


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
def test_query_can_not_read_files_or_run_programs(reader: ReadOnlyEngine, secret: Path, sql: str) -> None:
    with pytest.raises(QueryError) as raised:
        reader.run(sql.replace("{path}", str(secret)))

    assert raised.value.code in {60, 497}
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize(
    "sql", ["SELECT 1 INTO OUTFILE '{path}'", "EXPLAIN SELECT 1 INTO/**/OUTFILE '{path}' FORMAT CSV"]
)
def test_into_outfile_is_refused_and_writes_no_file(reader: ReadOnlyEngine, tmp_path: Path, sql: str) -> None:
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
def test_query_can_not_connect_to_the_network(reader: ReadOnlyEngine, unused_tcp_port: int, source: str) -> None:
    with pytest.raises(QueryError, match="not allowed here"):
        reader.run(f"SELECT * FROM {source.replace('{port}', str(unused_tcp_port))}")


def test_every_table_function_that_is_not_allowlisted_is_refused(
    reader: ReadOnlyEngine, clickhouse: ClickHouseClient
) -> None:
    table_functions = [row["name"] for row in clickhouse.rows("SELECT name FROM system.table_functions")]
    allowed = "numbers zeros generate_?series values view null format numbers_mt zeros_mt"

    for name in table_functions:
        if not any(re.fullmatch(pattern, name, re.IGNORECASE) for pattern in allowed.split()):
            with pytest.raises(QueryError, match=r"ACCESS_DENIED|READONLY|SYNTAX_ERROR"):
                reader.run(f"SELECT * FROM {name}()")


def test_parameters_are_bound_by_the_engine(reader: ReadOnlyEngine) -> None:
    result = reader.run("SELECT {a:String} AS a FORMAT JSONEachRow", parameters={"a": escape("it's\t\n\\ü")})

    assert json.loads(result.content) == {"a": "it's\t\n\\ü"}
    assert result.format == "JSONEachRow"


def test_settings_can_lower_limits_but_not_raise_them(reader: ReadOnlyEngine) -> None:
    sql = "SELECT getSetting('max_execution_time'), getSetting('max_threads')"

    lowered_limits = reader.run(sql, settings={"max_execution_time": "1.5"}).content
    raised_limits = reader.run(sql, settings={"max_execution_time": "0", "max_threads": "64"}).content

    assert lowered_limits == f"1.5\t{LIMITS['max_threads']}\n".encode()
    assert raised_limits == f"60\t{LIMITS['max_threads']}\n".encode()


def test_output_format_settings_are_applied_and_other_settings_refused(reader: ReadOnlyEngine) -> None:
    result = reader.run(
        "SELECT toInt64(1) AS n", "JSONEachRow", settings={"output_format_json_quote_64bit_integers": "1"}
    )

    assert result.content == b'{"n":"1"}\n'
    with pytest.raises(QueryError, match="Cannot modify 'allow_ddl'"):
        reader.run("SELECT 1", settings={"allow_ddl": "1"})


def test_pretty_format_has_colours_only_if_the_setting_enables_them(reader: ReadOnlyEngine) -> None:
    assert b"\x1b" not in reader.run("SELECT 1 AS n", "Pretty").content
    assert b"\x1b" in reader.run("SELECT 1 AS n", "Pretty", settings={"output_format_pretty_color": "1"}).content


def test_database_and_settings_do_not_leak_into_the_next_query(
    reader: ReadOnlyEngine, clickhouse: ClickHouseClient
) -> None:
    reader.run("SELECT 1", database="system", settings={"session_timezone": "Asia/Tokyo"})

    assert reader.run("SELECT currentDatabase(), timezone()").content.startswith(clickhouse.database.encode())
    assert b"Tokyo" not in reader.run("SELECT timezone()").content


def test_query_is_cancelled_at_max_execution_time(reader: ReadOnlyEngine) -> None:
    with pytest.raises(QueryError, match="Timeout exceeded") as raised:
        reader.run("SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", settings={"max_execution_time": "0.2"})

    assert raised.value.code == 159


def test_insert_does_not_wait_for_a_long_query(reader: ReadOnlyEngine, clickhouse: ClickHouseClient) -> None:
    finished = threading.Event()

    def run_long_query() -> None:
        with pytest.raises(QueryError, match="Timeout"):
            reader.run(
                "SELECT sum(sipHash64(number)) FROM numbers(1000000000000)", settings={"max_execution_time": "2"}
            )
        finished.set()

    query_thread = threading.Thread(target=run_long_query)
    query_thread.start()
    for number in range(5):
        clickhouse.insert("events_log", ("tenant", "kafka_offset"), [["during", number]])
    inserted_during_query = not finished.is_set()
    query_thread.join()

    assert inserted_during_query
    assert clickhouse.rows("SELECT count() AS n FROM events WHERE tenant = 'during'") == [{"n": 5}]
