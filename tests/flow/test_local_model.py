"""Tests of the whole gateway with a real model: HTTP, Kafka and the export of a dataset."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer, Message, Producer

from connectors.kafka import ensure_topics
from connectors.local_model import LocalModel
from schemas.kafka.topics import HOUR, Topic
from tests.fixtures.gateway import GatewayProcess

ROOT = Path(__file__).parents[2]
VENV = ROOT / ".venv-model"
REPLIES = "llm.replies.model"

pytestmark = [
    pytest.mark.local_model,
    pytest.mark.skipif(not (VENV / ".ready").exists(), reason="the local model is not installed: make model"),
]


@pytest.fixture(scope="module")
async def gateway(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> AsyncIterator[GatewayProcess]:
    """The gateway with the configuration of `make up-local`, on free ports."""
    folder = tmp_path_factory.mktemp("gateway")
    running = GatewayProcess(folder, config=yaml.safe_load((ROOT / "deploy" / "local-model.yaml").read_text("utf-8")))
    model = LocalModel(VENV, free_port())
    running.config["providers"]["local"]["base_url"] = model.base_url
    await model.start()
    yield running.start()
    assert running.stop() == 0
    await model.stop()


def reply_to(gateway: GatewayProcess, body: dict[str, object]) -> Message:
    """Send a request over Kafka and wait for the reply."""
    servers = {"bootstrap.servers": gateway.kafka}
    consumer = Consumer({**servers, "group.id": "model", "auto.offset.reset": "earliest"})
    consumer.subscribe([REPLIES])
    producer = Producer(dict(servers))
    headers: list[tuple[str, str | bytes | None]] = [("reply_to", REPLIES), ("correlation_id", "42")]
    producer.produce("llm.requests.v1", json.dumps(body).encode(), headers=headers)
    producer.flush(10)
    deadline, reply = time.monotonic() + 60, None
    while reply is None and time.monotonic() < deadline:
        reply = consumer.poll(0.5)
    consumer.close()
    assert reply is not None
    return reply


def test_answer_over_http_is_exported_as_an_example(gateway: GatewayProcess, tmp_path: Path) -> None:
    status, headers, answer = gateway.chat("In one sentence: what is a gateway?", model="smollm2", temperature=0)

    assert status == 200
    assert headers["x-sluice-target"] == "local/smollm2"
    text = answer["choices"][0]["message"]["content"]
    assert "gateway" in text.lower()
    (row,) = gateway.until_rows(f"SELECT * FROM requests WHERE request_id = '{headers['x-request-id']}'")
    assert row["output_tokens"] == answer["usage"]["completion_tokens"] > 0
    exported = gateway.run("export", "--out", str(tmp_path / "gateways.jsonl"), "--model", "smollm2")
    assert exported.returncode == 0, exported.stderr
    example = json.loads((tmp_path / "gateways.jsonl").read_text("utf-8"))
    assert example["messages"][-1] == {"role": "assistant", "content": text}


async def test_answer_over_kafka_comes_to_the_reply_topic(gateway: GatewayProcess) -> None:
    await ensure_topics(gateway.kafka, [Topic(REPLIES, (), HOUR, 1)], 1)
    body = {"model": "smollm2", "messages": [{"role": "user", "content": "Name one gateway."}], "max_tokens": 24}

    reply = await asyncio.to_thread(reply_to, gateway, body)

    value = reply.value()
    assert value is not None
    assert json.loads(value)["choices"][0]["message"]["content"].strip()
    assert dict(reply.headers() or [])["correlation_id"] == b"42"
