from __future__ import annotations

import pytest
from aiokafka import AIOKafkaProducer

from connectors.kafka.admin.record_times import earliest_record_since
from connectors.kafka.connection import client_settings
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.topics import DAY, Topic, Topics

pytestmark = pytest.mark.flow

THEN_MS = 1_750_000_000_000


async def test_earliest_record_since_is_found_on_any_topic(broker: EmbeddedBroker, topics: Topics) -> None:
    async with AIOKafkaProducer(**client_settings(broker.bootstrap_servers)) as producer:
        for topic, seconds in ((topics.attempts, 0), (topics.outcomes, 7), (topics.health, 9)):
            await producer.send_and_wait(topic.name, b"v", timestamp_ms=THEN_MS + seconds * 1000)

    assert await earliest_record_since(broker.bootstrap_servers, topics.all, THEN_MS) == THEN_MS
    assert await earliest_record_since(broker.bootstrap_servers, topics.all, THEN_MS + 1) == THEN_MS + 7000
    assert await earliest_record_since(broker.bootstrap_servers, topics.all, THEN_MS + 10_000) is None


async def test_earliest_record_of_missing_topics_is_none(broker: EmbeddedBroker) -> None:
    assert await earliest_record_since(broker.bootstrap_servers, [Topic("nowhere", (), DAY, 1)], 0) is None
