"""Tests of OpenAI's largest embeddings request: 2,048 inputs with 1,536 dimensions, 39 MB as JSON numbers."""

from __future__ import annotations

import json
import uuid

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

INPUTS, DIMENSIONS = 2048, 1536
BODY = {"model": "sim/any", "input": [f"text {number}" for number in range(INPUTS)], "dimensions": DIMENSIONS}


def test_http_response_has_all_numbers_and_the_row_has_base64(gateway: GatewayProcess) -> None:
    name = str(uuid.uuid4())

    status, _, answer = gateway.post("/v1/embeddings", json.dumps(BODY).encode(), [("Idempotency-Key", name)])

    assert status == 200
    data = json.loads(answer)["data"]
    assert [(item["index"], len(item["embedding"])) for item in data] == [(i, DIMENSIONS) for i in range(INPUTS)]
    sizes = f"SELECT length(output) AS size FROM requests WHERE idempotency_key = '{name}'"
    (row,) = gateway.until_rows(sizes, within_s=60)
    assert int(row["size"]) < len(answer) / 2


def test_kafka_reply_has_all_embeddings(gateway: GatewayProcess) -> None:
    topic = f"llm.replies.{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": gateway.kafka})
    admin.create_topics([NewTopic(topic, 1, 1)])[topic].result(20)
    producer = Producer({"bootstrap.servers": gateway.kafka})
    consumer = Consumer({"bootstrap.servers": gateway.kafka, "group.id": topic, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(topic, 0, 0)])

    producer.produce("llm.requests.v1", json.dumps(BODY), headers=[("reply_to", topic.encode())])
    producer.flush(20)
    reply = next(message for _ in range(300) if (message := consumer.poll(0.2)) is not None and not message.error())

    consumer.close()
    assert len(json.loads(reply.value() or b"")["data"][INPUTS - 1]["embedding"]) == DIMENSIONS
