from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.http_endpoint import Endpoint
from connectors.clickhouse.embedded.part_integrity import PartIntegrity
from schemas.avro.codec import encode
from schemas.events.catalog import Event, RequestReceived, RequestSettled
from schemas.events.parts import Request
from schemas.events.vocabulary import Outcome
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.audit.factory import open_audit_stage
from streams.audit.stage import AuditStage, insert_token
from streams.config.deployment import ClickHouseSettings
from streams.config.settings import ConfigurationError, Settings
from streams.provisioning import clickhouse as stores
from tests.fixtures.clickhouse import active_parts, empty_files

pytestmark = pytest.mark.flow

TOPICS = Topics()


def request(now: int = 1_790_000_000_000) -> Request:
    return Request(
        request_id=str(uuid.uuid4()),
        tenant="default",
        operation="chat",
        source="http",
        received_at=now,
        deadline_at=now + 1000,
    )


def record(topic: str, event: Event | bytes, offset: int, partition: int = 0) -> ConsumerRecord:
    value = encode(event) if isinstance(event, Event) else event
    return ConsumerRecord(topic, partition, offset, 1_790_000_000_000, None, value, ())


def settled(asked: Request, offset: int, outcome: Outcome = "expired") -> ConsumerRecord:
    event = RequestSettled(request=asked, outcome=outcome, settled_at=asked.received_at + 9)
    return record(TOPICS.outcomes.name, event, offset)


def some_records(count: int) -> list[ConsumerRecord]:
    records = []
    for number in range(count):
        asked = request()
        records += [
            record(TOPICS.requests.name, RequestReceived(request=asked, body=b"{}"), number // 4, number % 4),
            settled(asked, number),
        ]
    return records


def count(clickhouse: ClickHouseClient, view: str) -> int:
    return int(clickhouse.rows(f"SELECT count() AS n FROM {view}")[0]["n"])


@pytest.fixture
def audit(clickhouse: ClickHouseClient) -> AuditStage:
    return AuditStage(clickhouse, TOPICS)


async def test_every_record_is_a_row_and_every_end_a_request(audit: AuditStage, clickhouse: ClickHouseClient) -> None:
    await audit.write_batch(some_records(10))

    assert (count(clickhouse, "events"), count(clickhouse, "requests")) == (20, 10)


async def test_the_tables_are_made_when_the_first_records_come(empty_clickhouse: ClickHouseClient) -> None:
    await AuditStage(empty_clickhouse, TOPICS).write_batch(some_records(1))

    assert count(empty_clickhouse, "events") == 2


async def test_the_same_batch_twice_adds_no_rows_at_all(audit: AuditStage, clickhouse: ClickHouseClient) -> None:
    records = some_records(5)

    await audit.write_batch(records)
    await audit.write_batch(records)

    assert (count(clickhouse, "events_log"), count(clickhouse, "requests_log")) == (10, 5)


async def test_overlapping_batches_are_seen_once_through_the_views(
    audit: AuditStage, clickhouse: ClickHouseClient
) -> None:
    records = some_records(30)
    shuffle = random.Random(7)

    for _ in range(8):
        start = shuffle.randrange(len(records))
        await audit.write_batch(records[start : start + shuffle.randrange(1, 40)])
    await audit.write_batch(records)

    assert (count(clickhouse, "events"), count(clickhouse, "requests")) == (60, 30)


async def test_of_two_ends_of_a_request_the_first_on_the_log_counts_in_whatever_order_they_come(
    audit: AuditStage, clickhouse: ClickHouseClient
) -> None:
    asked, other = request(), request()

    await audit.write_batch([settled(asked, 8, "expired"), settled(other, 6, "failed")])
    await audit.write_batch([settled(asked, 5, "failed"), settled(other, 9, "expired")])

    rows = clickhouse.rows("SELECT outcome, kafka_offset FROM requests ORDER BY kafka_offset")
    assert rows == [{"outcome": "failed", "kafka_offset": 5}, {"outcome": "failed", "kafka_offset": 6}]


async def test_bodies_of_request_topics_are_nowhere_in_the_database(
    audit: AuditStage, clickhouse: ClickHouseClient
) -> None:
    body = b"a very secret word"

    await audit.write_batch(
        [
            record(TOPICS.requests.name, RequestReceived(request=request(), body=body), 1),
            record(TOPICS.requests.name, b'{"messages": "' + body + b'"}', 2),
            record(TOPICS.requests.dead_letters, body, 3),
        ]
    )

    dump = clickhouse.query("SELECT * FROM events", "JSONEachRow")
    assert dump.count(b"\n") == 3
    assert b"secret" not in dump


async def test_a_server_that_is_away_is_an_error_that_says_try_again() -> None:
    audit = AuditStage(ClickHouseClient.server("http://127.0.0.1:1"), TOPICS)

    with pytest.raises(ClickHouseError) as caught:
        await audit.write_batch(some_records(1))

    assert caught.value.unavailable


class Picky(ClickHouseClient):
    """Refuses rows of one offset in one table, as a table would that they do not fit."""

    refused: tuple[str, int] = ("events_log", 3)

    def insert_columns(
        self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]], token: str = ""
    ) -> None:
        for row in zip(*columns, strict=True):
            values = dict(zip(names, row, strict=True))
            if (table, values.get("kafka_offset")) == self.refused and values.get("event_type") != "Unstorable":
                raise ClickHouseError("it does not fit")
        super().insert_columns(table, names, columns, token)


@pytest.mark.parametrize("table", ["events_log", "requests_log"])
async def test_a_row_that_is_refused_leaves_a_note_and_stops_no_other(
    clickhouse: ClickHouseClient, clickhouse_path: Path, table: str
) -> None:
    picky = Picky.embedded(clickhouse_path, clickhouse.database)
    picky.refused = (table, 3)
    records = [settled(request(), number) for number in range(9)]

    await AuditStage(picky, TOPICS).write_batch(records)
    await AuditStage(picky, TOPICS).write_batch(records)

    noted = clickhouse.rows(
        "SELECT kafka_offset, attributes['reason'] AS reason FROM events WHERE event_type = 'Unstorable'"
    )
    assert [row["kafka_offset"] for row in noted] == [3]
    assert "it does not fit" in noted[0]["reason"]
    assert count(clickhouse, "requests") == (8 if table == "requests_log" else 9)
    picky.close()


class FullDisk(ClickHouseClient):
    """Takes rows for a table, for once, of which the files stay empty: what chDB does on a full disk."""

    full: str = ""

    def insert_columns(
        self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]], token: str = ""
    ) -> None:
        super().insert_columns(table, names, columns, token)
        if table == self.full:
            self.full = ""
            empty_files(active_parts(self, table)[-1])


@pytest.mark.parametrize("table", ["events_log", "requests_log"])
async def test_rows_that_a_full_disk_lost_are_an_error_and_count_once_when_they_are_offered_again(
    clickhouse: ClickHouseClient, clickhouse_path: Path, table: str
) -> None:
    disk = FullDisk.embedded(clickhouse_path, clickhouse.database)
    audit = AuditStage(disk, TOPICS, parts=PartIntegrity(disk), migrated=True)
    records = some_records(10)

    disk.full = table
    with pytest.raises(ClickHouseError, match="is the disk full") as caught:
        await audit.write_batch(records)
    assert caught.value.unavailable
    await audit.write_batch(records)
    await audit.write_batch(records)
    await audit.close()

    assert (count(clickhouse, "events"), count(clickhouse, "requests")) == (20, 10)
    assert count(clickhouse, table) == count(clickhouse, table.removesuffix("_log"))


async def test_a_table_that_refuses_everything_is_an_error_and_nothing_is_skipped(clickhouse: ClickHouseClient) -> None:
    clickhouse.command("DROP TABLE events_log")
    audit = AuditStage(clickhouse, TOPICS)
    audit._migrated = True

    with pytest.raises(ClickHouseError, match="events_log"):
        await audit.write_batch(some_records(4))


async def test_storing_does_not_hold_up_the_loop(audit: AuditStage) -> None:
    storing = asyncio.create_task(audit.write_batch(some_records(300)))
    turns = 0

    while not storing.done():
        turns += 1
        await asyncio.sleep(0)

    assert turns > 10


def test_a_token_is_of_what_is_in_the_batch_and_not_of_its_order() -> None:
    records = some_records(9)

    assert insert_token(records) == insert_token(list(reversed(records)))
    assert insert_token(records) != insert_token(records[:-1])
    assert insert_token(records) != insert_token(records[1:])
    assert insert_token([records[0], records[-1]]) != insert_token(records)


def settings(clickhouse_path: Path, database: str, port: int) -> Settings:
    # the engine's path is this process's one
    return Settings(state=clickhouse_path.parent, clickhouse=ClickHouseSettings(port=port, database=database))


def open_stage(settings: Settings) -> AuditStage:
    path, port = stores.chdb_path(settings), settings.clickhouse.port
    return open_audit_stage(stores.open_writer(settings), settings.topics, chdb_path=path, port=port)


async def test_the_stage_serves_what_it_stores_until_it_is_closed(clickhouse_path: Path, unused_tcp_port: int) -> None:
    configured = settings(clickhouse_path, "served", unused_tcp_port)
    audit = open_stage(configured)
    reader = stores.open_reader(configured)

    await audit.write_batch(some_records(3))

    assert await asyncio.to_thread(reader.rows, "SELECT count() AS n FROM requests") == [{"n": 3}]
    assert reader.is_server
    reader.close()
    await audit.close()
    assert not stores.open_reader(configured).is_server


def test_a_taken_port_says_what_to_set(clickhouse_path: Path) -> None:
    occupant = Endpoint(clickhouse_path, "default", 0)

    with pytest.raises(ConfigurationError, match=f"port {occupant.port} for ClickHouse.*SLUICE_CLICKHOUSE_PORT"):
        open_stage(settings(clickhouse_path, "taken", occupant.port))

    occupant.close()


def test_a_server_that_only_reads_ends_audit_at_its_start_with_a_sentence(
    clickhouse: ClickHouseClient, clickhouse_path: Path
) -> None:
    endpoint = Endpoint(clickhouse_path, clickhouse.database, 0)
    url = f"http://127.0.0.1:{endpoint.port}"

    with pytest.raises(ConfigurationError, match=f"can't write to {url}, which SLUICE_CLICKHOUSE_URL.*READONLY"):
        open_stage(Settings(clickhouse=ClickHouseSettings(url=url, database=clickhouse.database)))

    endpoint.close()


def test_a_server_that_takes_tables_but_no_rows_ends_audit_at_its_start(
    clickhouse: ClickHouseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "open_writer", lambda _settings: clickhouse)
    monkeypatch.setattr(ClickHouseClient, "is_server", True)
    monkeypatch.setattr(clickhouse, "migrate", list)
    clickhouse.command("SET readonly = 2")

    with pytest.raises(ConfigurationError, match="READONLY"):
        open_stage(Settings())


async def test_a_server_that_is_away_when_audit_starts_is_waited_for(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"

    audit = open_stage(Settings(clickhouse=ClickHouseSettings(url=url)))

    with pytest.raises(ClickHouseError, match="can't be reached"):
        await audit.write_batch(some_records(1))
