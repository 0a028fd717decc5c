"""Tests of the lanes, and of a backlog of expired requests, on the whole gateway."""

from __future__ import annotations

import json
import time
import uuid

import pytest
from confluent_kafka import Producer

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

CHAT = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello"}]}).encode()


def send(gateway: GatewayProcess, count: int, topic: str, lane: bytes | None = None, age_ms: int = 0) -> str:
    """Produce requests of this age; return the prefix of their idempotency keys."""
    mark = uuid.uuid4().hex
    producer = Producer({"bootstrap.servers": gateway.kafka})
    for number in range(count):
        headers: list[tuple[str, bytes | str]] = [("request_id", f"{mark}-{number}".encode())]
        if lane is not None:
            headers.append(("sluice-lane", lane))
        producer.produce(topic, CHAT, headers=[*headers], timestamp=int(time.time() * 1000) - age_ms)
    assert producer.flush(20) == 0
    return mark


@pytest.mark.parametrize(
    ("topic", "lane"),
    [("llm.requests.batch.v1", None), ("llm.requests.v1", b"batch"), ("llm.requests.acme.v1", b"batch")],
)
def test_batch_lane_request_is_answered(gateway: GatewayProcess, topic: str, lane: bytes | None) -> None:
    mark = send(gateway, 1, topic, lane)

    gateway.until_rows(f"SELECT 1 FROM requests WHERE startsWith(idempotency_key, '{mark}') AND outcome = 'answered'")
    (row,) = gateway.until_rows(
        "SELECT groupUniqArray(kafka_topic) AS topics FROM events"
        " WHERE event_type IN ('RequestAdmitted', 'RequestRouted')"
        f" AND startsWith(idempotency_key, '{mark}') HAVING length(topics) = 2"
    )
    assert set(row["topics"]) == {"llm.admitted.batch.v1", "llm.routed.batch.v1"}


@pytest.mark.parametrize("topic", ["llm.requests.v1", "llm.requests.batch.v1"])
def test_overdue_backlog_expires_without_a_call(gateway: GatewayProcess, topic: str) -> None:
    mark = send(gateway, 500, topic, age_ms=2 * 3_600_000)

    (row,) = gateway.until_rows(
        f"SELECT count() AS ended, countIf(outcome = 'expired') AS expired, sum(attempts) AS called FROM requests"
        f" WHERE startsWith(idempotency_key, '{mark}') HAVING ended = 500"
    )

    assert (int(row["expired"]), int(row["called"])) == (500, 0)
