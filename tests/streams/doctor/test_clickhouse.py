from __future__ import annotations

import time

import pytest
from aiokafka import AIOKafkaProducer

from connectors.clickhouse import ClickHouseClient
from connectors.kafka.connection import client_settings
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import Topics
from streams.config.settings import Settings
from streams.doctor import clickhouse as checks
from streams.doctor.finding import CheckFailed, CheckWarning

pytestmark = pytest.mark.flow


@pytest.fixture
def rows(clickhouse: ClickHouseClient, monkeypatch: pytest.MonkeyPatch) -> ClickHouseClient:
    """The database that the checks read."""
    monkeypatch.setattr(checks, "open_reader", lambda _settings: clickhouse)
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
async def test_empty_database_passes_all_checks(broker: EmbeddedBroker, topics: Topics) -> None:
    configured = settings(broker, topics)

    assert (await checks.clickhouse(configured)).endswith(", 0 events")
    assert await checks.freshness(configured) == "no rows, and no records in Kafka that should have one"
    assert await checks.unsettled_requests(configured) == "none older than five minutes"
    assert await checks.dead_letters(configured) == "none in the last day"


async def test_freshness_fails_if_a_record_has_no_row_after_a_minute(
    rows: ClickHouseClient, broker: EmbeddedBroker, topics: Topics
) -> None:
    put(rows, topics.admitted.name, minutes_ago=10)
    await write(broker, topics.admitted.name, seconds_ago=1200)
    assert await checks.freshness(settings(broker, topics)) == "up to date with Kafka"

    await write(broker, topics.outcomes.name, seconds_ago=300)

    with pytest.raises(CheckFailed, match=r"a record written 30\d s ago has no row yet; check that audit runs"):
        await checks.freshness(settings(broker, topics))


async def test_freshness_accepts_a_record_of_the_last_minute(
    rows: ClickHouseClient, broker: EmbeddedBroker, topics: Topics
) -> None:
    put(rows, topics.admitted.name, minutes_ago=10)

    await write(broker, topics.outcomes.name, seconds_ago=2)

    assert await checks.freshness(settings(broker, topics)) == "up to date with Kafka"


async def test_dead_letters_fail_for_five_minutes_and_warn_for_a_day(rows: ClickHouseClient) -> None:
    put(rows, "llm.routed.v1-dlt", minutes_ago=60)
    put(rows, "llm.routed.v1-dlt", minutes_ago=90, offset=1)
    put(rows, "llm.feedback.v1-dlt", minutes_ago=60 * 25)
    with pytest.raises(CheckWarning, match=r"2 on llm\.routed\.v1-dlt in the last day; for the reasons: sluice query"):
        await checks.dead_letters(Settings())

    put(rows, "llm.outcomes.v1-dlt", minutes_ago=1)

    with pytest.raises(
        CheckFailed, match=r"1 on llm\.outcomes\.v1-dlt in the last five minutes; for the reasons: sluice query"
    ):
        await checks.dead_letters(Settings())


def put_event(rows: ClickHouseClient, kind: str, stage: str, config_hash: str, seconds_ago: int) -> None:
    rows.command(
        "INSERT INTO events_log (kafka_topic, kafka_offset, event_type, stage, config_hash, event_time)"
        f" SELECT 't', {seconds_ago}, '{kind}', '{stage}', '{config_hash}', now64(3) - INTERVAL {seconds_ago} SECOND"
    )


async def test_running_configuration_warns_of_stages_that_have_another_one(rows: ClickHouseClient) -> None:
    configured = Settings()
    assert await checks.running_configuration(configured) == "no requests in the last day"

    put_event(rows, "RequestAdmitted", "filter", "older", seconds_ago=90)
    put_event(rows, "ConfigurationApplied", "", configured.hash, seconds_ago=60)
    assert await checks.running_configuration(configured) == "the same as the file"

    put_event(rows, "RequestAdmitted", "filter", "older", seconds_ago=30)
    put_event(rows, "RequestRouted", "route", configured.hash, seconds_ago=29)
    with pytest.raises(CheckWarning, match=r"another configuration \(filter older\); restart the processes"):
        await checks.running_configuration(configured)

    put_event(rows, "RequestAdmitted", "filter", configured.hash, seconds_ago=5)
    assert await checks.running_configuration(configured) == "the same as the file"
