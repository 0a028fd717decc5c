from __future__ import annotations

import time

import pytest
from aiokafka import AIOKafkaProducer

from connectors.clickhouse import ClickHouseClient
from connectors.kafka.connection import client_settings
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import Topics
from streams.config.settings import Settings
from streams.doctor import clickhouse as store
from streams.doctor.finding import CheckFailed, CheckWarning
from streams.provisioning import clickhouse as stores

pytestmark = pytest.mark.flow


@pytest.fixture
def rows(clickhouse: ClickHouseClient, monkeypatch: pytest.MonkeyPatch) -> ClickHouseClient:
    """The database that the looks see."""
    monkeypatch.setattr(stores, "open_reader", lambda _settings: clickhouse)
    monkeypatch.setattr(clickhouse, "close", lambda: None)
    return clickhouse


def settings(broker: EmbeddedBroker, topics: Topics) -> Settings:
    kafka = {"bootstrap_servers": broker.bootstrap_servers, "topic_prefix": topics.prefix}
    return Settings.model_validate({"kafka": kafka})


def put(rows: ClickHouseClient, topic: str, minutes_ago: int, offset: int = 0) -> None:
    rows.command(
        "INSERT INTO events_log (kafka_topic, kafka_offset, event_time, ingested_at)"
        f" SELECT '{topic}', {offset}, now64(3), now64(3) - INTERVAL {minutes_ago} MINUTE"
    )


async def write(broker: EmbeddedBroker, topic: str, seconds_ago: int) -> None:
    async with AIOKafkaProducer(**client_settings(broker.bootstrap_servers)) as producer:
        await producer.send_and_wait(topic, b"v", timestamp_ms=int((time.time() - seconds_ago) * 1000))


@pytest.mark.usefixtures("rows")
async def test_an_empty_database_has_nothing_wrong(broker: EmbeddedBroker, topics: Topics) -> None:
    asked = settings(broker, topics)

    assert (await store.clickhouse(asked)).endswith(", 0 events")
    assert await store.freshness(asked) == "no rows, and nothing on the log that should be one"
    assert await store.unsettled(asked) == "none older than five minutes"
    assert await store.dead_letters(asked) == "none in the last day"


async def test_a_record_that_is_newer_than_every_row_for_more_than_a_minute_is_wrong(
    rows: ClickHouseClient, broker: EmbeddedBroker, topics: Topics
) -> None:
    put(rows, topics.admitted.name, minutes_ago=10)
    await write(broker, topics.admitted.name, seconds_ago=1200)
    assert await store.freshness(settings(broker, topics)) == "as new as the log"

    await write(broker, topics.outcomes.name, seconds_ago=300)

    with pytest.raises(CheckFailed, match=r"a record of 30\d s ago is newer than every row; does audit run"):
        await store.freshness(settings(broker, topics))


async def test_a_record_of_this_moment_may_still_become_a_row(
    rows: ClickHouseClient, broker: EmbeddedBroker, topics: Topics
) -> None:
    put(rows, topics.admitted.name, minutes_ago=10)

    await write(broker, topics.outcomes.name, seconds_ago=2)

    assert await store.freshness(settings(broker, topics)) == "as new as the log"


async def test_dead_letters_are_wrong_while_they_come_and_worth_knowing_for_a_day(rows: ClickHouseClient) -> None:
    put(rows, "llm.routed.v1-dlt", minutes_ago=60)
    put(rows, "llm.routed.v1-dlt", minutes_ago=90, offset=1)
    put(rows, "llm.feedback.v1-dlt", minutes_ago=60 * 25)
    with pytest.raises(CheckWarning, match=r"in the last day 2 on llm\.routed\.v1-dlt; why: sluice query"):
        await store.dead_letters(Settings())

    put(rows, "llm.outcomes.v1-dlt", minutes_ago=1)

    with pytest.raises(CheckFailed, match=r"in the last five minutes 1 on llm\.outcomes\.v1-dlt; why: sluice query"):
        await store.dead_letters(Settings())
