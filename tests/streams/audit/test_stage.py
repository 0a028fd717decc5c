from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest

from connectors.clickhouse import ClickHouseClient, ClickHouseError
from connectors.clickhouse.embedded.endpoint import Endpoint
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
from tests.eventually import eventually
from tests.fixtures.clickhouse import active_parts, empty_files

pytestmark = pytest.mark.flow

TOPICS = Topics()


def make_request(now: int = 1_790_000_000_000) -> Request:
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


def settled_record(request: Request, offset: int, outcome: Outcome = "expired") -> ConsumerRecord:
    event = RequestSettled(request=request, outcome=outcome, settled_at=request.received_at + 9)
    return record(TOPICS.outcomes.name, event, offset)


def make_records(count: int) -> list[ConsumerRecord]:
    records = []
    for number in range(count):
        request = make_request()
        records += [
            record(TOPICS.requests.name, RequestReceived(request=request, body=b"{}"), number // 4, number % 4),
            settled_record(request, number),
        ]
    return records


def count(clickhouse: ClickHouseClient, view: str) -> int:
    return int(clickhouse.rows(f"SELECT count() AS n FROM {view}")[0]["n"])


@pytest.fixture
def audit(clickhouse: ClickHouseClient) -> AuditStage:
    return AuditStage(clickhouse, TOPICS)


async def test_every_record_has_an_event_row_and_every_outcome_a_request_row(
    audit: AuditStage, clickhouse: ClickHouseClient
) -> None:
    await audit.write_batch(make_records(10))

    assert (count(clickhouse, "events"), count(clickhouse, "requests")) == (20, 10)


async def test_first_batch_creates_the_tables(empty_clickhouse: ClickHouseClient) -> None:
    await AuditStage(empty_clickhouse, TOPICS).write_batch(make_records(1))

    assert count(empty_clickhouse, "events") == 2


async def test_repeated_batch_adds_no_rows(audit: AuditStage, clickhouse: ClickHouseClient) -> None:
    records = make_records(5)

    await audit.write_batch(records)
    await audit.write_batch(records)

    assert (count(clickhouse, "events_log"), count(clickhouse, "requests_log")) == (10, 5)


async def test_views_have_one_row_for_each_record_of_overlapping_batches(
    audit: AuditStage, clickhouse: ClickHouseClient
) -> None:
    records = make_records(30)
    generator = random.Random(7)

    for _ in range(8):
        start = generator.randrange(len(records))
        await audit.write_batch(records[start : start + generator.randrange(1, 40)])
    await audit.write_batch(records)

    assert (count(clickhouse, "events"), count(clickhouse, "requests")) == (60, 30)


async def test_outcome_with_the_lowest_offset_wins_in_any_insert_order(
    audit: AuditStage, clickhouse: ClickHouseClient
) -> None:
    request, other_request = make_request(), make_request()

    await audit.write_batch([settled_record(request, 8, "expired"), settled_record(other_request, 6, "failed")])
    await audit.write_batch([settled_record(request, 5, "failed"), settled_record(other_request, 9, "expired")])

    rows = clickhouse.rows("SELECT outcome, kafka_offset FROM requests ORDER BY kafka_offset")
    assert rows == [{"outcome": "failed", "kafka_offset": 5}, {"outcome": "failed", "kafka_offset": 6}]


async def test_bodies_of_request_topics_are_not_stored(audit: AuditStage, clickhouse: ClickHouseClient) -> None:
    body = b"a very secret word"

    await audit.write_batch(
        [
            record(TOPICS.requests.name, RequestReceived(request=make_request(), body=body), 1),
            record(TOPICS.requests.name, b'{"messages": "' + body + b'"}', 2),
            record(TOPICS.requests.dead_letters, body, 3),
        ]
    )

    dump = clickhouse.query("SELECT * FROM events", "JSONEachRow")
    assert dump.count(b"\n") == 3
    assert b"secret" not in dump


async def test_unreachable_server_is_an_unavailable_error() -> None:
    audit = AuditStage(ClickHouseClient.server("http://127.0.0.1:1"), TOPICS)

    with pytest.raises(ClickHouseError) as raised:
        await audit.write_batch(make_records(1))

    assert raised.value.unavailable


class RowRefusingClient(ClickHouseClient):
    """A client that refuses the rows of one offset in one table, as ClickHouse refuses a value that does not fit."""

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
async def test_refused_row_has_an_unstorable_event_and_other_rows_are_stored(
    clickhouse: ClickHouseClient, clickhouse_path: Path, table: str
) -> None:
    client = RowRefusingClient.embedded(clickhouse_path, clickhouse.database)
    client.refused = (table, 3)
    records = [settled_record(make_request(), number) for number in range(9)]

    await AuditStage(client, TOPICS).write_batch(records)
    await AuditStage(client, TOPICS).write_batch(records)

    unstorable = clickhouse.rows(
        "SELECT kafka_offset, attributes['reason'] AS reason FROM events WHERE event_type = 'Unstorable'"
    )
    assert [row["kafka_offset"] for row in unstorable] == [3]
    assert "it does not fit" in unstorable[0]["reason"]
    assert count(clickhouse, "requests") == (8 if table == "requests_log" else 9)
    client.close()


class FullDiskClient(ClickHouseClient):
    """A client whose next insert into the table `full` leaves empty files, as chDB does on a full disk."""

    full: str = ""

    def insert_columns(
        self, table: str, names: Sequence[str], columns: Sequence[Sequence[object]], token: str = ""
    ) -> None:
        super().insert_columns(table, names, columns, token)
        if table == self.full:
            self.full = ""
            empty_files(active_parts(self, table)[-1])


@pytest.mark.parametrize("table", ["events_log", "requests_log"])
async def test_rows_lost_on_a_full_disk_are_an_error_and_stored_once_after_a_retry(
    clickhouse: ClickHouseClient, clickhouse_path: Path, table: str
) -> None:
    client = FullDiskClient.embedded(clickhouse_path, clickhouse.database)
    audit = AuditStage(client, TOPICS, parts=PartIntegrity(client), migrated=True)
    records = make_records(10)

    client.full = table
    with pytest.raises(ClickHouseError, match="is the disk full") as raised:
        await audit.write_batch(records)
    assert raised.value.unavailable
    await audit.write_batch(records)
    await audit.write_batch(records)
    await audit.close()

    assert (count(clickhouse, "events"), count(clickhouse, "requests")) == (20, 10)
    assert count(clickhouse, table) == count(clickhouse, table.removesuffix("_log"))


async def test_missing_table_is_an_error(clickhouse: ClickHouseClient) -> None:
    clickhouse.command("DROP TABLE events_log")
    audit = AuditStage(clickhouse, TOPICS)
    audit._migrated = True

    with pytest.raises(ClickHouseError, match="events_log"):
        await audit.write_batch(make_records(4))


async def test_write_batch_does_not_block_the_event_loop(audit: AuditStage) -> None:
    write = asyncio.create_task(audit.write_batch(make_records(300)))
    iterations = 0

    while not write.done():
        iterations += 1
        await asyncio.sleep(0)

    assert iterations > 10


def test_insert_token_depends_on_the_records_but_not_on_their_order() -> None:
    records = make_records(9)

    assert insert_token(records) == insert_token(list(reversed(records)))
    assert insert_token(records) != insert_token(records[:-1])
    assert insert_token(records) != insert_token(records[1:])
    assert insert_token([records[0], records[-1]]) != insert_token(records)


def settings(clickhouse_path: Path, database: str, port: int) -> Settings:
    # chDB opens one path per process, so the stage uses that of the fixture
    return Settings(state=clickhouse_path.parent, clickhouse=ClickHouseSettings(port=port, database=database))


def open_stage(settings: Settings) -> AuditStage:
    path, port = stores.chdb_path(settings), settings.clickhouse.port
    return open_audit_stage(stores.open_writer(settings), settings.topics, chdb_path=path, port=port)


async def test_stage_serves_its_rows_over_http_until_it_is_closed(clickhouse_path: Path, unused_tcp_port: int) -> None:
    configured = settings(clickhouse_path, "served", unused_tcp_port)
    audit = open_stage(configured)
    reader = stores.open_reader(configured)

    await audit.write_batch(make_records(3))

    async def is_served() -> bool:
        return await asyncio.to_thread(reader.rows, "SELECT count() AS n FROM requests") == [{"n": 3}]

    await eventually(is_served)
    assert reader.is_server
    reader.close()
    await audit.close()
    assert not stores.open_reader(configured).is_server


def test_error_of_a_taken_port_names_the_variable(clickhouse_path: Path) -> None:
    occupying_endpoint = Endpoint(clickhouse_path, "default", 0)

    with pytest.raises(
        ConfigurationError, match=f"port {occupying_endpoint.port} for ClickHouse.*SLUICE_CLICKHOUSE_PORT"
    ):
        open_stage(settings(clickhouse_path, "taken", occupying_endpoint.port))

    occupying_endpoint.close()


def test_read_only_server_is_a_configuration_error_at_start(
    clickhouse: ClickHouseClient, clickhouse_path: Path
) -> None:
    endpoint = Endpoint(clickhouse_path, clickhouse.database, 0)
    url = f"http://127.0.0.1:{endpoint.port}"

    with pytest.raises(ConfigurationError, match=f"can't write to {url}, which SLUICE_CLICKHOUSE_URL.*READONLY"):
        open_stage(Settings(clickhouse=ClickHouseSettings(url=url, database=clickhouse.database)))

    endpoint.close()


def test_server_that_refuses_inserts_is_a_configuration_error_at_start(
    clickhouse: ClickHouseClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "open_writer", lambda _settings: clickhouse)
    monkeypatch.setattr(ClickHouseClient, "is_server", True)
    monkeypatch.setattr(clickhouse, "migrate", list)
    clickhouse.command("SET readonly = 2")

    with pytest.raises(ConfigurationError, match="READONLY"):
        open_stage(Settings())


async def test_unreachable_server_does_not_fail_the_start(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}"

    audit = open_stage(Settings(clickhouse=ClickHouseSettings(url=url)))

    with pytest.raises(ClickHouseError, match="can't be reached"):
        await audit.write_batch(make_records(1))
