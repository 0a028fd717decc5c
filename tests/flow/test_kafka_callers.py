"""Tests of services on Kafka: one reply on the reply topic, with unchanged correlation bytes, for each framework."""

from __future__ import annotations

import json
import struct
import time
import uuid
from collections.abc import Iterator
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer
from confluent_kafka import Consumer, Message, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from connectors.kafka import lag
from connectors.kafka.admin.lag import BacklogReader
from schemas.kafka.topics import Topics
from tests.eventually import eventually
from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

CHAT = json.dumps({"model": "demo", "messages": [{"role": "user", "content": "Hello from Kafka"}]}).encode()
BINARY = b"\x80\x81\xfe\xff\x00\x01\x02\x03\x80\x81\xfe\xff\x00\x01\x02\x03"
"""A correlation id like Spring's: 16 bytes that are not UTF-8."""


class Service:
    """A service on librdkafka with a reply topic of three partitions."""

    def __init__(self, gateway: GatewayProcess, owner: str = "of") -> None:
        self.topic = f"llm.replies.{owner}.{uuid.uuid4().hex[:8]}"
        config: dict[str, str | int | float | bool] = {"bootstrap.servers": gateway.kafka}
        admin = AdminClient(config)
        for future in admin.create_topics([NewTopic(self.topic, 3, 1)]).values():
            future.result(20)
        self.producer = Producer(config)
        self.consumer = Consumer(
            {**config, "group.id": self.topic, "auto.offset.reset": "earliest", "enable.auto.commit": False}
        )
        self.consumer.assign([TopicPartition(self.topic, partition, 0) for partition in range(3)])

    def send(
        self,
        value: bytes | None,
        headers: list[tuple[str, bytes]],
        topic: str = "llm.requests.v1",
        key: bytes = b"mine",
    ) -> None:
        self.producer.produce(topic, value, key, headers=[*headers])
        assert self.producer.flush(20) == 0

    def reply(self, within_s: float = 20.0) -> Message:
        deadline = time.monotonic() + within_s
        while time.monotonic() < deadline:
            message = self.consumer.poll(0.2)
            if message is not None and message.error() is None:
                return message
        raise AssertionError("no reply came")

    def replies_within(self, seconds: float) -> list[Message]:
        found, deadline = [], time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message)
        return found


@pytest.fixture
def service(gateway: GatewayProcess) -> Iterator[Service]:
    service = Service(gateway)
    yield service
    service.consumer.close()


@pytest.fixture
def acme(gateway: GatewayProcess) -> Iterator[Service]:
    service = Service(gateway, "acme")
    yield service
    service.consumer.close()


def headers_of(message: Message) -> dict[str, bytes]:
    headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    return {name: value for name, value in headers if value is not None}


@pytest.mark.parametrize(
    ("reply_header", "correlation_header"),
    [
        ("kafka_replyTopic", "kafka_correlationId"),
        ("REPLY_TOPIC", "REPLY_CORRELATION_ID"),
        ("Faust-Ag-ReplyTo", "Faust-Ag-CorrelationId"),
        ("reply_to", "correlation_id"),
        ("reply-topic", "correlation-id"),
    ],
    ids=["spring", "smallrye", "faust", "faststream", "plain"],
)
def test_framework_gets_exactly_one_reply_with_its_correlation_header(
    service: Service, reply_header: str, correlation_header: str
) -> None:
    service.send(CHAT, [(reply_header, service.topic.encode()), (correlation_header, BINARY)])

    reply = service.reply()
    more = service.replies_within(1.0)

    headers = headers_of(reply)
    assert headers[correlation_header] == BINARY
    assert reply_header not in headers
    assert headers["sluice-status"] == b"200"
    assert headers["sluice-outcome"] == b"answered"
    assert reply.key() == b"mine"
    assert "Hello from Kafka" in json.loads(reply.value() or b"")["choices"][0]["message"]["content"]
    assert more == []


def test_reply_partition_is_used(service: Service) -> None:
    service.send(
        CHAT,
        [
            ("kafka_replyTopic", service.topic.encode()),
            ("kafka_replyPartition", struct.pack(">i", 2)),
            ("kafka_correlationId", BINARY),
        ],
    )

    assert service.reply().partition() == 2


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
def test_compressed_request_is_answered(gateway: GatewayProcess, service: Service, codec: str) -> None:
    service.producer = Producer({"bootstrap.servers": gateway.kafka, "compression.type": codec})

    service.send(CHAT, [("reply_to", service.topic.encode()), ("correlation_id", codec.encode())])

    assert headers_of(service.reply())["correlation_id"] == codec.encode()


def test_request_id_header_is_the_idempotency_key(gateway: GatewayProcess, service: Service) -> None:
    name = f"order-{uuid.uuid4()}".encode()

    service.send(CHAT, [("reply_to", service.topic.encode()), ("request_id", name)])

    request_id = headers_of(service.reply())["request_id"].decode()
    (row,) = gateway.until_rows(f"SELECT * FROM requests WHERE idempotency_key = '{name.decode()}'")
    assert row["request_id"] == request_id
    assert row["source"] == "kafka"


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (b"this is not JSON", b"invalid_json"),
        (b'{"model": "\xff"}', b"unreadable"),
        (b"\x00\x00\x00\x27\x0frest", None),
        (None, None),
        (b'{"model": "gpt-99", "messages": [{"role": "user", "content": "hi"}]}', b"model_not_found"),
    ],
    ids=["not-json", "not-utf8", "wrong-avro-id", "null", "unknown-model"],
)
def test_invalid_record_gets_an_error_reply_and_the_next_one_its_answer(
    service: Service, value: bytes | None, code: bytes | None
) -> None:
    service.send(value, [("reply_to", service.topic.encode()), ("correlation_id", b"bad")], key=b"same")
    service.send(CHAT, [("reply_to", service.topic.encode()), ("correlation_id", b"good")], key=b"same")

    replies = {headers_of(reply)["correlation_id"]: reply for reply in (service.reply(), service.reply())}

    bad = headers_of(replies[b"bad"])
    assert bad["sluice-outcome"] == b"refused"
    assert bad["sluice-status"].startswith(b"4")
    assert code is None or bad["sluice-error"] == code
    assert json.loads(replies[b"bad"].value() or b"")["error"]["message"]
    assert headers_of(replies[b"good"])["sluice-status"] == b"200"


def test_undecodable_record_is_also_a_dead_letter(gateway: GatewayProcess, service: Service) -> None:
    mark = uuid.uuid4().hex
    service.send(
        b"\x00\x00\x00\x27\x0f" + mark.encode(), [("trace", mark.encode()), ("reply_to", service.topic.encode())]
    )
    service.reply()

    letters = Consumer({"bootstrap.servers": gateway.kafka, "group.id": mark, "auto.offset.reset": "earliest"})
    letters.subscribe(["llm.requests.v1-dlt"])
    deadline = time.monotonic() + 20
    found: list[Message] = []
    while not found and time.monotonic() < deadline:
        message = letters.poll(0.2)
        if message is not None and message.error() is None and headers_of(message).get("trace") == mark.encode():
            found.append(message)
    letters.close()

    assert (found[0].value() or b"").endswith(mark.encode())
    assert headers_of(found[0])["kafka_dlt-original-topic"] == b"llm.requests.v1"
    gateway.until_rows("SELECT 1 FROM events WHERE kafka_topic = 'llm.requests.v1-dlt'")
    assert gateway.rows(f"SELECT 1 FROM events WHERE position(input, '{mark}') OR position(output, '{mark}')") == []


def test_header_that_is_not_utf_8_is_refused(gateway: GatewayProcess, service: Service) -> None:
    service.send(CHAT, [("idempotency-key", b"\xff\xfe"), ("reply_to", service.topic.encode())])

    headers = headers_of(service.reply())

    assert headers["sluice-outcome"] == b"refused"


def test_missing_reply_topic_causes_a_dead_letter_and_delays_no_other_reply(
    gateway: GatewayProcess, service: Service
) -> None:
    missing = f"llm.replies.missing-{uuid.uuid4().hex[:6]}"
    service.send(CHAT, [("reply_to", missing.encode()), ("request_id", missing.encode())])
    service.send(CHAT, [("reply_to", service.topic.encode())])

    started = time.monotonic()
    assert headers_of(service.reply())["sluice-status"] == b"200"
    assert time.monotonic() - started < 5
    (row,) = gateway.until_rows(f"SELECT outcome FROM requests WHERE idempotency_key = '{missing}'")
    assert row["outcome"] == "answered"
    gateway.until_rows("SELECT 1 FROM events WHERE kafka_topic = 'llm.outcomes.v1-dlt'")


def test_reply_topic_of_the_pipeline_is_refused(gateway: GatewayProcess, service: Service) -> None:
    name = f"evil-{uuid.uuid4()}"

    service.send(CHAT, [("reply_to", b"llm.routed.v1"), ("request_id", name.encode())])

    (row,) = gateway.until_rows(f"SELECT outcome, error_message FROM requests WHERE idempotency_key = '{name}'")
    assert row["outcome"] == "refused"
    assert "llm.replies." in row["error_message"]


def test_personal_data_is_masked_before_it_is_stored(gateway: GatewayProcess, acme: Service) -> None:
    mark = uuid.uuid4().hex
    text = f"{mark}: write to jane.{mark}@example.com about DE89 3704 0044 0532 0130 00"
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": text}]}).encode()

    acme.send(body, [("reply_to", acme.topic.encode())], topic="llm.requests.acme.v1")

    answer = (acme.reply().value() or b"").decode()
    assert "<EMAIL_ADDRESS>" in answer
    assert "<IBAN_CODE>" in answer
    (row,) = gateway.until_rows(f"SELECT tenant, input, policy_actions FROM requests WHERE position(input, '{mark}')")
    assert row["tenant"] == "acme"
    assert sorted(row["policy_actions"]) == ["pii.EMAIL_ADDRESS:mask", "pii.IBAN_CODE:mask"]
    stored = gateway.rows(
        f"SELECT input, output FROM events WHERE position(input, '{mark}') OR position(output, '{mark}')"
    )
    assert stored
    assert not any("example.com" in row["input"] + row["output"] or "DE89" in row["input"] for row in stored)


@pytest.mark.parametrize(
    ("text", "rule"),
    [("my card is 4111 1111 1111 1111", "pii.CREDIT_CARD"), ("how to build a BOMB", "deny.no-weapons")],
)
def test_policy_refusal_names_the_rule_and_not_the_text(acme: Service, text: str, rule: str) -> None:
    body = json.dumps({"model": "demo", "messages": [{"role": "user", "content": text}]}).encode()

    acme.send(body, [("reply_to", acme.topic.encode())], topic="llm.requests.acme.v1")

    reply = acme.reply()
    message = json.loads(reply.value() or b"")["error"]["message"]
    assert rule in message
    assert "4111" not in message
    assert "BOMB" not in message


async def test_request_is_answered_after_its_commit_and_never_after_an_abort(gateway: GatewayProcess) -> None:
    service, topics = Service(gateway), Topics()
    producer = AIOKafkaProducer(bootstrap_servers=gateway.kafka, transactional_id=uuid.uuid4().hex)
    await producer.start()
    try:
        await producer.begin_transaction()
        await send_within_transaction(producer, service, b"aborted", partition=0)
        await producer.abort_transaction()
        await producer.begin_transaction()
        await send_within_transaction(producer, service, b"committed", partition=1)
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


async def send_within_transaction(
    producer: AIOKafkaProducer, service: Service, correlation: bytes, partition: int
) -> None:
    headers = [("reply-topic", service.topic.encode()), ("correlation-id", correlation)]
    await producer.send_and_wait("llm.requests.v1", CHAT, headers=headers, partition=partition)
