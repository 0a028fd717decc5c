"""Tests of every panel and alert over the traffic of a running gateway, through its ClickHouse port."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator

import pytest
from confluent_kafka import Producer

from connectors.clickhouse import ClickHouseClient
from tests.dashboards.checker import alert_values, find_faults
from tests.dashboards.expander import View
from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

EMPTY_PANELS = {"providers / Circuit breakers", "pipeline / Unsettled requests", "pipeline / Requests by last event"}
"""Panels without rows: no circuit breaker opened, and every request is settled."""


@pytest.fixture
def clickhouse(gateway: GatewayProcess) -> Iterator[ClickHouseClient]:
    reader = ClickHouseClient.server(gateway.clickhouse, read_only=True)
    yield reader
    reader.close()


def send_varied_traffic(gateway: GatewayProcess) -> None:
    """Cause answers, refusals, failures, a fallback, a mask and a dead letter, and wait until all are stored."""
    for model in ("demo", "fallback", "broken", "gpt-99"):
        gateway.chat("hello", model)
    producer = Producer({"bootstrap.servers": gateway.kafka})
    masked = {"model": "demo", "messages": [{"role": "user", "content": "write to jane@example.com"}]}
    producer.produce("llm.requests.acme.v1", json.dumps(masked).encode())
    producer.produce("llm.requests.v1", b"\x00\x00\x00\x27\x0f")
    last = str(uuid.uuid4())
    body = {"model": "demo", "messages": [{"role": "user", "content": "the last"}]}
    producer.produce("llm.requests.v1", json.dumps(body).encode(), headers=[("request_id", last.encode())])
    assert producer.flush(20) == 0
    gateway.until_rows(f"SELECT 1 FROM requests WHERE idempotency_key = '{last}'")
    gateway.until_rows("SELECT 1 FROM requests WHERE tenant = 'acme'")
    gateway.until_rows("SELECT 1 FROM events WHERE event_type = 'DeadLettered'")


def test_every_panel_and_alert_has_rows_of_real_traffic(gateway: GatewayProcess, clickhouse: ClickHouseClient) -> None:
    send_varied_traffic(gateway)
    now = int(time.time() * 1000)

    faults = find_faults(clickhouse, View(now - 15 * 60_000, now + 10_000), may_be_empty=EMPTY_PANELS)
    values = alert_values(clickhouse)

    assert not faults, "\n".join(faults)
    assert all(values.values())
