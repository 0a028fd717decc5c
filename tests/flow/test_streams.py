"""Tests of streams: order, resumption, and settlement if the client disconnects."""

from __future__ import annotations

import json
import socket
import time
import uuid
from urllib.parse import urlsplit

import openai
import pytest
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

WORDS = "one two three four five six seven eight"


@pytest.fixture
def client(gateway: GatewayProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.http}/v1", api_key="none-needed", max_retries=0)


def test_official_client_reads_a_stream_that_is_recorded_whole(gateway: GatewayProcess, client: openai.OpenAI) -> None:
    mark = uuid.uuid4().hex
    with client.chat.completions.create(
        model="sim/echo?chunk_ms=20",
        messages=[{"role": "user", "content": f"{WORDS} {mark}"}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        chunks = list(stream)

    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == f"{WORDS} {mark}"
    assert len(chunks) > 4
    assert chunks[-1].usage is not None
    (row,) = gateway.until_rows(f"SELECT outcome, output, output_tokens FROM requests WHERE position(output, '{mark}')")
    assert json.loads(row["output"])["choices"][0]["message"]["content"] == text
    assert row["output_tokens"] == chunks[-1].usage.completion_tokens


def test_broken_stream_is_an_error_for_the_client_and_is_recorded_as_failed(
    gateway: GatewayProcess, client: openai.OpenAI
) -> None:
    mark = uuid.uuid4().hex
    stream = client.chat.completions.create(
        model="sim/cut", messages=[{"role": "user", "content": f"{WORDS} {mark}"}], stream=True
    )

    with pytest.raises(openai.APIError):
        list(stream)

    (row,) = gateway.until_rows(f"SELECT outcome, attempts FROM requests WHERE position(input, '{mark}')")
    assert (row["outcome"], row["attempts"]) == ("failed", 1)


def test_error_before_the_first_chunk_is_an_http_error(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gpt-99", messages=[{"role": "user", "content": "x"}], stream=True)


def test_request_of_a_disconnected_client_is_completed_and_can_be_resumed(gateway: GatewayProcess) -> None:
    mark = uuid.uuid4().hex
    body = json.dumps(
        {
            "model": "sim/echo?chunk_ms=100",
            "messages": [{"role": "user", "content": f"{WORDS} {mark}"}],
            "stream": True,
        }
    ).encode()
    parts = urlsplit(gateway.http)
    with socket.create_connection((str(parts.hostname), parts.port or 80)) as line:
        head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
        line.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        received = b""
        while b"data:" not in received:
            received += line.recv(4096)
    request_id = next(
        line.split(b":", 1)[1].strip().decode()
        for line in received.split(b"\r\n")
        if line.lower().startswith(b"x-request-id")
    )

    rest = gateway.lines(f"/v1/requests/{request_id}/stream", {"Last-Event-ID": "1"})

    numbers = [int(line[3:]) for line in rest if line.startswith("id:")]
    assert numbers == list(range(2, 2 + len(numbers)))
    assert rest[-2:] == ["data: [DONE]", ""]
    (row,) = gateway.until_rows(f"SELECT outcome, output FROM requests WHERE request_id = '{request_id}'")
    assert row["outcome"] == "answered"
    assert mark in row["output"]


def text_on(topic: str, messages: list[Message]) -> str:
    return "".join((message.value() or b"").decode() for message in messages if message.topic() == topic)


def test_service_on_kafka_gets_chunks_and_then_one_reply(gateway: GatewayProcess) -> None:
    chunks, replies = (f"llm.replies.{uuid.uuid4().hex[:8]}" for _ in range(2))
    config: dict[str, str | int | float | bool] = {"bootstrap.servers": gateway.kafka}
    admin = AdminClient(config)
    for future in admin.create_topics([NewTopic(chunks, 1, 1), NewTopic(replies, 1, 1)]).values():
        future.result(20)
    producer = Producer(config)
    body = {"model": "sim/echo?chunk_ms=30", "messages": [{"role": "user", "content": WORDS}], "stream": True}
    headers: list[tuple[str, str | bytes | None]] = [
        ("reply_to", replies.encode()),
        ("correlation_id", b"\x01"),
        ("sluice-stream-to", chunks.encode()),
    ]
    producer.produce("llm.requests.v1", json.dumps(body).encode(), headers=headers)
    producer.flush(20)

    consumer = Consumer({**config, "group.id": chunks, "auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(chunks, 0, 0), TopicPartition(replies, 0, 0)])
    messages: list[Message] = []
    deadline = time.monotonic() + 30
    while not (text_on(replies, messages) and "stop" in text_on(chunks, messages)) and time.monotonic() < deadline:
        message = consumer.poll(0.2)  # messages of the two topics come in any order
        if message is not None and message.error() is None:
            messages.append(message)
    consumer.close()

    chunk_bodies = [json.loads(message.value() or b"") for message in messages if message.topic() == chunks]
    (answer,) = [json.loads(message.value() or b"") for message in messages if message.topic() == replies]
    text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in chunk_bodies)
    assert text == WORDS == answer["choices"][0]["message"]["content"]
    numbers = [dict(message.headers() or [])["sluice-sequence"] for message in messages if message.topic() == chunks]
    assert numbers == [str(number).encode() for number in range(len(chunk_bodies))]
    assert {dict(message.headers() or [])["correlation_id"] for message in messages} == {b"\x01"}
