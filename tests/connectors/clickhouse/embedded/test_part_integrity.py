from __future__ import annotations

import asyncio
import errno
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.part_integrity import PartIntegrity
from connectors.clickhouse.embedded.query_guard import QueryError
from connectors.clickhouse.embedded.read_only import ReadOnlyEngine
from tests.eventually import eventually
from tests.fixtures.clickhouse import active_parts, empty_files

pytestmark = pytest.mark.flow

ROOT = Path(__file__).parents[4]
NEVER_S = 3600.0
COLUMNS = ("number", "text")
TABLE = """
CREATE TABLE numbers (number UInt64, text String) ENGINE = MergeTree ORDER BY number
SETTINGS non_replicated_deduplication_window = 100"""


def make_rows(*numbers: int) -> list[tuple[int, str]]:
    return [(number, "x" * number) for number in numbers]


def stored_numbers(clickhouse: ClickHouseClient) -> list[int]:
    return [row["number"] for row in clickhouse.rows("SELECT number, text FROM numbers ORDER BY number")]


def insert_batch(
    clickhouse: ClickHouseClient, integrity: PartIntegrity, number: int, damage: Callable[[Path], object] = Path.exists
) -> str:
    """Insert one batch, damage its part before the check, and return the generation."""
    with integrity.guarded_insert() as generation:
        clickhouse.insert("numbers", COLUMNS, make_rows(number), f"{generation}batch {number}")
        damage(active_parts(clickhouse, "numbers")[-1])
    return generation


def empty_file(name: str) -> Callable[[Path], None]:
    return lambda part: os.truncate(part / name, 0)


def detached_parts(clickhouse: ClickHouseClient) -> list[str]:
    sql = "SELECT name FROM system.detached_parts WHERE database = {d:String}"
    return [row["name"] for row in clickhouse.rows(sql, {"d": clickhouse.database})]


@pytest.fixture
def numbers(empty_clickhouse: ClickHouseClient) -> ClickHouseClient:
    """A client of a database whose table `numbers` has one part."""
    empty_clickhouse.command(TABLE)
    empty_clickhouse.insert("numbers", COLUMNS, make_rows(1))
    return empty_clickhouse


@pytest.fixture
def integrity(numbers: ClickHouseClient) -> Iterator[PartIntegrity]:
    integrity = PartIntegrity(numbers, NEVER_S)
    yield integrity
    integrity.close()


def test_intact_parts_are_unchanged(numbers: ClickHouseClient, integrity: PartIntegrity) -> None:
    insert_batch(numbers, integrity, 2)
    insert_batch(numbers, integrity, 3)

    assert stored_numbers(numbers) == [1, 2, 3]
    assert len(active_parts(numbers, "numbers")) == 3


def test_part_that_is_one_byte_too_short_is_damaged(numbers: ClickHouseClient, integrity: PartIntegrity) -> None:
    numbers.command("ALTER TABLE numbers MODIFY SETTING min_bytes_for_wide_part = 1")
    numbers.command("ALTER TABLE numbers ADD COLUMN maps Map(String, String)")
    insert_batch(numbers, integrity, 5)  # a wide part, some files of which are empty although it is intact
    compact, wide = active_parts(numbers, "numbers")
    for file in (compact / "data.bin", wide / "number.bin"):
        os.truncate(file, file.stat().st_size - 1)

    second_integrity = PartIntegrity(numbers, NEVER_S)
    with pytest.raises(ClickHouseError):
        insert_batch(numbers, second_integrity, 6)
    second_integrity.close()

    assert stored_numbers(numbers) == [6]


@pytest.mark.parametrize("name", ["checksums.txt", "columns.txt", "data.cmrk4", "count.txt"])
def test_one_empty_file_makes_a_part_damaged(numbers: ClickHouseClient, integrity: PartIntegrity, name: str) -> None:
    with pytest.raises(ClickHouseError) as raised:
        insert_batch(numbers, integrity, 2, empty_file(name))

    assert raised.value.unavailable
    assert stored_numbers(numbers) == [1]


def test_insert_is_repeated_after_a_damaged_part(numbers: ClickHouseClient, integrity: PartIntegrity) -> None:
    with pytest.raises(ClickHouseError, match="is the disk full") as raised:
        insert_batch(numbers, integrity, 2, empty_files)
    assert raised.value.unavailable
    assert stored_numbers(numbers) == [1]

    assert insert_batch(numbers, integrity, 2) == insert_batch(numbers, integrity, 2)

    assert stored_numbers(numbers) == [1, 2]


def test_damaged_part_is_detected_if_a_later_insert_of_the_batch_fails(
    numbers: ClickHouseClient, integrity: PartIntegrity
) -> None:
    def fail(part: Path) -> None:
        empty_files(part)
        raise ClickHouseError("no room for the second table", unavailable=True)

    first_generation = insert_batch(numbers, integrity, 2)
    with pytest.raises(ClickHouseError, match="is the disk full"):
        insert_batch(numbers, integrity, 3, fail)

    assert insert_batch(numbers, integrity, 3) != first_generation
    assert stored_numbers(numbers) == [1, 2, 3]


async def test_damaged_merged_part_is_replaced_by_its_source_parts_without_an_insert(numbers: ClickHouseClient) -> None:
    numbers.insert("numbers", COLUMNS, make_rows(2))
    numbers.command("OPTIMIZE TABLE numbers FINAL")
    [merged_part] = active_parts(numbers, "numbers")
    empty_files(merged_part)
    with pytest.raises(ClickHouseError) as raised:
        stored_numbers(numbers)
    assert raised.value.code == 246

    integrity = PartIntegrity(numbers, 0.01)
    await eventually(lambda: len(active_parts(numbers, "numbers")) == 2)
    integrity.close()

    assert stored_numbers(numbers) == [1, 2]


async def test_check_is_repeated_after_an_operating_system_error(
    numbers: ClickHouseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    scans = 0

    def scandir(_: str) -> None:
        nonlocal scans
        scans += 1
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("connectors.clickhouse.embedded.part_integrity.os.scandir", scandir)
    integrity = PartIntegrity(numbers, 0.01)
    await eventually(lambda: scans > 2)
    integrity.close()


async def test_repair_cancels_a_long_query_within_10_s(
    numbers: ClickHouseClient, integrity: PartIntegrity, clickhouse_path: Path
) -> None:
    reader = ReadOnlyEngine(clickhouse_path, numbers.database)
    long_query = (
        "SELECT count() FROM numbers AS a CROSS JOIN numbers(1000000000000) AS b WHERE cityHash64(b.number) = 1"
    )
    query = asyncio.create_task(asyncio.to_thread(reader.run, long_query))
    running = "SELECT count() AS n FROM system.processes WHERE query LIKE '%cityHash64%' AND query_id != queryID()"
    await eventually(lambda: numbers.rows(running) == [{"n": 1}])

    started = time.monotonic()
    with pytest.raises(ClickHouseError, match="is the disk full"):
        await asyncio.to_thread(insert_batch, numbers, integrity, 2, empty_files)
    elapsed_s = time.monotonic() - started

    with pytest.raises(QueryError, match="QUERY_WAS_CANCELLED"):
        await query
    assert elapsed_s < 10
    assert stored_numbers(numbers) == [1]


def test_damaged_parts_are_deleted_and_not_detached(numbers: ClickHouseClient, integrity: PartIntegrity) -> None:
    for _ in range(2):  # the name of the first damaged part may be in use
        with pytest.raises(ClickHouseError):
            insert_batch(numbers, integrity, 2, empty_file("checksums.txt"))

    assert detached_parts(numbers) == []


class FailingAttach(ClickHouseClient):
    """A client whose first `ATTACH TABLE` fails."""

    has_failed = False

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        if sql.startswith("ATTACH TABLE") and not self.has_failed:
            self.has_failed = True
            raise ClickHouseError("no memory", unavailable=True)
        super().command(sql, parameters)


def test_table_that_failed_to_attach_is_attached_before_the_next_insert(
    numbers: ClickHouseClient, clickhouse_path: Path
) -> None:
    client = FailingAttach.embedded(clickhouse_path, numbers.database)
    integrity = PartIntegrity(client, NEVER_S)
    with pytest.raises(ClickHouseError, match="no memory"):
        insert_batch(numbers, integrity, 2, empty_files)
    with pytest.raises(ClickHouseError, match="UNKNOWN_TABLE"):
        stored_numbers(numbers)

    insert_batch(numbers, integrity, 2)

    integrity.close()
    client.close()
    assert stored_numbers(numbers) == [1, 2]


def insert_with_a_file_size_limit_of_zero(path: Path) -> None:
    """Insert while the process can write no byte to a file, as on a full disk, and once more without the limit.

    The limit holds for the whole process: run this function in its own.
    """
    clickhouse = ClickHouseClient.embedded(path)
    clickhouse.command(TABLE)
    integrity = PartIntegrity(clickhouse, NEVER_S)

    def insert() -> None:
        with integrity.guarded_insert() as generation:  # `insert` writes a temporary file, which would fail first
            clickhouse.command(f"INSERT INTO numbers SETTINGS insert_deduplication_token = '{generation}' SELECT 2, ''")

    clickhouse.insert("numbers", COLUMNS, make_rows(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    for _ in range(3):
        with pytest.raises(ClickHouseError, match="is the disk full"):
            insert()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    insert()
    assert stored_numbers(clickhouse) == [1, 2]
    assert detached_parts(clickhouse) == []
    integrity.close()
    clickhouse.close()


def test_insert_fails_if_the_engine_can_not_write_files(tmp_path: Path) -> None:
    function = insert_with_a_file_size_limit_of_zero
    code = f"import pathlib, {function.__module__} as m; m.{function.__name__}(pathlib.Path({str(tmp_path)!r}))"
    completed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert completed.returncode == 0, completed.stderr
