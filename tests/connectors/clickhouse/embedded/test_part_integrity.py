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


def rows(*numbers: int) -> list[tuple[int, str]]:
    return [(number, "x" * number) for number in numbers]


def found(clickhouse: ClickHouseClient) -> list[int]:
    return [row["number"] for row in clickhouse.rows("SELECT number, text FROM numbers ORDER BY number")]


def write(
    clickhouse: ClickHouseClient, parts: PartIntegrity, number: int, damage: Callable[[Path], object] = Path.exists
) -> str:
    """Insert one batch, damage its part before the check, and return the generation."""
    with parts.guarded_insert() as generation:
        clickhouse.insert("numbers", COLUMNS, rows(number), f"{generation}batch {number}")
        damage(active_parts(clickhouse, "numbers")[-1])
    return generation


def emptied(name: str) -> Callable[[Path], None]:
    return lambda part: os.truncate(part / name, 0)


def set_aside(clickhouse: ClickHouseClient) -> list[str]:
    sql = "SELECT name FROM system.detached_parts WHERE database = {d:String}"
    return [row["name"] for row in clickhouse.rows(sql, {"d": clickhouse.database})]


@pytest.fixture
def numbers(empty_clickhouse: ClickHouseClient) -> ClickHouseClient:
    """A table with one part, which says nothing of what comes next."""
    empty_clickhouse.command(TABLE)
    empty_clickhouse.insert("numbers", COLUMNS, rows(1))
    return empty_clickhouse


@pytest.fixture
def parts(numbers: ClickHouseClient) -> Iterator[PartIntegrity]:
    watched = PartIntegrity(numbers, NEVER_S)
    yield watched
    watched.close()


def test_what_is_written_whole_is_let_be(numbers: ClickHouseClient, parts: PartIntegrity) -> None:
    write(numbers, parts, 2)
    write(numbers, parts, 3)

    assert found(numbers) == [1, 2, 3]
    assert len(active_parts(numbers, "numbers")) == 3


def test_the_size_that_the_engine_has_in_mind_is_that_of_the_files_to_the_byte(
    numbers: ClickHouseClient, parts: PartIntegrity
) -> None:
    numbers.command("ALTER TABLE numbers MODIFY SETTING min_bytes_for_wide_part = 1")
    numbers.command("ALTER TABLE numbers ADD COLUMN maps Map(String, String)")
    write(numbers, parts, 5)  # wide, and with files that are empty as they should be
    compact, wide = active_parts(numbers, "numbers")
    for file in (compact / "data.bin", wide / "number.bin"):
        os.truncate(file, file.stat().st_size - 1)

    fresh = PartIntegrity(numbers, NEVER_S)
    with pytest.raises(ClickHouseError):
        write(numbers, fresh, 6)
    fresh.close()

    assert found(numbers) == [6]


@pytest.mark.parametrize("name", ["checksums.txt", "columns.txt", "data.cmrk4", "count.txt"])
def test_one_file_that_is_empty_is_enough(numbers: ClickHouseClient, parts: PartIntegrity, name: str) -> None:
    with pytest.raises(ClickHouseError) as caught:
        write(numbers, parts, 2, emptied(name))

    assert caught.value.unavailable
    assert found(numbers) == [1]


def test_an_insert_that_left_nothing_is_an_error_and_counts_when_it_is_offered_again(
    numbers: ClickHouseClient, parts: PartIntegrity
) -> None:
    with pytest.raises(ClickHouseError, match="is the disk full") as caught:
        write(numbers, parts, 2, empty_files)
    assert caught.value.unavailable
    assert found(numbers) == [1]

    assert write(numbers, parts, 2) == write(numbers, parts, 2)

    assert found(numbers) == [1, 2]


def test_damage_is_found_also_when_what_follows_in_the_batch_fails(
    numbers: ClickHouseClient, parts: PartIntegrity
) -> None:
    def fail(part: Path) -> None:
        empty_files(part)
        raise ClickHouseError("no room for the second table", unavailable=True)

    before = write(numbers, parts, 2)
    with pytest.raises(ClickHouseError, match="is the disk full"):
        write(numbers, parts, 3, fail)

    assert write(numbers, parts, 3) != before
    assert found(numbers) == [1, 2, 3]


async def test_a_damaged_merge_is_mended_from_its_sources_while_nothing_is_written(numbers: ClickHouseClient) -> None:
    numbers.insert("numbers", COLUMNS, rows(2))
    numbers.command("OPTIMIZE TABLE numbers FINAL")
    [merged] = active_parts(numbers, "numbers")
    empty_files(merged)
    with pytest.raises(ClickHouseError) as caught:
        found(numbers)
    assert caught.value.code == 246

    watched = PartIntegrity(numbers, 0.01)
    await eventually(lambda: len(active_parts(numbers, "numbers")) == 2)
    watched.close()

    assert found(numbers) == [1, 2]


async def test_whatever_keeps_it_from_looking_it_looks_again(
    numbers: ClickHouseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def scandir(_: str) -> None:
        nonlocal looks
        looks += 1
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr("connectors.clickhouse.embedded.part_integrity.os.scandir", scandir)
    watched = PartIntegrity(numbers, 0.01)
    await eventually(lambda: looks > 2)
    watched.close()


async def test_a_long_query_does_not_hold_up_the_mending(
    numbers: ClickHouseClient, parts: PartIntegrity, clickhouse_path: Path
) -> None:
    reader = ReadOnlyEngine(clickhouse_path, numbers.database)
    long = "SELECT count() FROM numbers AS a CROSS JOIN numbers(1000000000000) AS b WHERE cityHash64(b.number) = 1"
    query = asyncio.create_task(asyncio.to_thread(reader.run, long))
    running = "SELECT count() AS n FROM system.processes WHERE query LIKE '%cityHash64%' AND query_id != queryID()"
    await eventually(lambda: numbers.rows(running) == [{"n": 1}])

    begun = time.monotonic()
    with pytest.raises(ClickHouseError, match="is the disk full"):
        await asyncio.to_thread(write, numbers, parts, 2, empty_files)
    took = time.monotonic() - begun

    with pytest.raises(QueryError, match="QUERY_WAS_CANCELLED"):
        await query
    assert took < 10
    assert found(numbers) == [1]


def test_what_is_left_of_a_damaged_part_takes_no_room(numbers: ClickHouseClient, parts: PartIntegrity) -> None:
    for _ in range(2):  # the second time the name may be taken
        with pytest.raises(ClickHouseError):
            write(numbers, parts, 2, emptied("checksums.txt"))

    assert set_aside(numbers) == []


class Interrupted(ClickHouseClient):
    """Loads no table, for once."""

    interrupted = False

    def command(self, sql: str, parameters: Mapping[str, object] | None = None) -> None:
        if sql.startswith("ATTACH TABLE") and not self.interrupted:
            self.interrupted = True
            raise ClickHouseError("no memory", unavailable=True)
        super().command(sql, parameters)


def test_a_table_that_could_not_be_loaded_is_loaded_before_the_next_insert(
    numbers: ClickHouseClient, clickhouse_path: Path
) -> None:
    interrupted = Interrupted.embedded(clickhouse_path, numbers.database)
    watched = PartIntegrity(interrupted, NEVER_S)
    with pytest.raises(ClickHouseError, match="no memory"):
        write(numbers, watched, 2, empty_files)
    with pytest.raises(ClickHouseError, match="UNKNOWN_TABLE"):
        found(numbers)

    write(numbers, watched, 2)

    watched.close()
    interrupted.close()
    assert found(numbers) == [1, 2]


def write_where_no_file_may_grow(path: Path) -> None:
    """In a process of its own: no file of it may grow, as if the disk were full; then they may again."""
    clickhouse = ClickHouseClient.embedded(path)
    clickhouse.command(TABLE)
    watched = PartIntegrity(clickhouse, NEVER_S)

    def insert() -> None:
        with watched.guarded_insert() as generation:  # with no file of the driver's in between, which would fail first
            clickhouse.command(f"INSERT INTO numbers SETTINGS insert_deduplication_token = '{generation}' SELECT 2, ''")

    clickhouse.insert("numbers", COLUMNS, rows(1))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    for _ in range(3):
        with pytest.raises(ClickHouseError, match="is the disk full"):
            insert()
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    insert()
    assert found(clickhouse) == [1, 2]
    assert set_aside(clickhouse) == []
    watched.close()
    clickhouse.close()


def test_an_engine_that_can_write_nothing_is_not_believed(tmp_path: Path) -> None:
    function = write_where_no_file_may_grow
    code = f"import pathlib, {function.__module__} as m; m.{function.__name__}(pathlib.Path({str(tmp_path)!r}))"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)

    assert ended.returncode == 0, ended.stderr
