"""Tests of transactional producers: a request is processed once, after its transaction was committed."""

from __future__ import annotations

import json
import uuid

import pytest
from aiokafka import AIOKafkaProducer

from connectors.kafka import lag
from connectors.kafka.admin.lag import BacklogReader
from schemas.kafka.topics import Topics
from tests.eventually import eventually
from tests.fixtures.gateway import GatewayProcess
from tests.flow.test_kafka_callers import Service, headers_of

pytestmark = pytest.mark.flow

BODY = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "in a transaction"}]}).encode()


async def test_request_is_answered_after_its_commit_and_never_after_an_abort(gateway: GatewayProcess) -> None:
    service, topics = Service(gateway), Topics()
    producer = AIOKafkaProducer(bootstrap_servers=gateway.kafka, transactional_id=uuid.uuid4().hex)
    await producer.start()
    try:
        await producer.begin_transaction()
        await send(producer, service, b"aborted", partition=0)
        await producer.abort_transaction()
        await producer.begin_transaction()
        await send(producer, service, b"committed", partition=1)
        before_commit = service.replies_within(3)
        await producer.commit_transaction()
        after_commit = service.replies_within(8)
    finally:
        await producer.stop()
        service.consumer.close()

    assert [headers_of(each)["correlation-id"] for each in before_commit] == []
    assert [headers_of(each)["correlation-id"] for each in after_commit] == [b"committed"]

    async def is_filter_lag_zero() -> bool:
        return not any((await lag(gateway.kafka, topics.group("filter"), [topics.requests])).values())

    await eventually(is_filter_lag_zero)
    reader = BacklogReader(gateway.kafka)
    backlog = await reader.measure({topics.group("filter"): [topics.requests]})
    await reader.close()
    assert backlog[topics.requests.name].waiting == 0


async def send(producer: AIOKafkaProducer, service: Service, correlation: bytes, partition: int) -> None:
    headers = [("reply-topic", service.topic.encode()), ("correlation-id", correlation)]
    await producer.send_and_wait("llm.requests.v1", BODY, headers=headers, partition=partition)
