"""Forges events of the ingress on its own topic of a running gateway with API keys."""

from __future__ import annotations

import json
import stat
import uuid
from collections.abc import Iterator
from typing import cast

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from schemas.avro.codec import decode, encode
from schemas.events.catalog import RequestReceived
from schemas.events.parts import ReplyTo
from schemas.events.request_id import named_request_id
from streams.config.api_keys import new_key
from tests.factories import chat, make_request
from tests.fixtures.gateway import CONFIG, GatewayProcess

pytestmark = [pytest.mark.flow, pytest.mark.timeout(240)]

KEY, HASH = new_key()
TOPIC, REPLIES = "llm.requests.v1", "llm.replies.acme"
NAME = "order-1"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    config = {**CONFIG, "tenants": {"acme": {}}, "keys": [{"id": "first", "tenant": "acme", "hash": HASH}]}
    gateway = GatewayProcess(tmp_path_factory.mktemp("signed"), config).start()
    admin = AdminClient({"bootstrap.servers": gateway.kafka})
    for future in admin.create_topics([NewTopic(REPLIES, 1, 1)]).values():
        future.result(20)
    yield gateway
    assert gateway.stop() == 0


def answer(gateway: GatewayProcess) -> int:
    headers = [("Authorization", f"Bearer {KEY}"), ("Idempotency-Key", NAME)]
    return gateway.post("/v1/chat/completions", chat().encode(), headers)[0]


def produce(gateway: GatewayProcess, value: bytes, headers: list[tuple[str, bytes]], key: bytes) -> None:
    producer = Producer({"bootstrap.servers": gateway.kafka})
    producer.produce(TOPIC, value, key, headers=[*headers])
    assert producer.flush(20) == 0


def records(gateway: GatewayProcess, topic: str) -> list[tuple[bytes, bytes, list[tuple[str, bytes]]]]:
    """Return key, value and headers of all records on a topic."""
    consumer = Consumer({"bootstrap.servers": gateway.kafka, "group.id": uuid.uuid4().hex})
    found = []
    for partition in consumer.list_topics(topic, 20).topics[topic].partitions:
        place = TopicPartition(topic, partition, 0)
        _, end = consumer.get_watermark_offsets(place, 20)
        consumer.assign([place])
        for _ in range(end):
            message = consumer.poll(20)
            assert message is not None
            assert message.error() is None
            found.append(
                (message.key() or b"", message.value() or b"", cast("list[tuple[str, bytes]]", message.headers() or []))
            )
    consumer.close()
    return found


def test_forged_event_is_refused_without_a_reply_and_settles_no_request_of_its_victim(guarded: GatewayProcess) -> None:
    victim = named_request_id("acme", NAME)
    request = make_request(
        request_id=victim, tenant="acme", key_id="first", reply_to=ReplyTo(topic=REPLIES), idempotency_key=NAME
    )
    forged = encode(RequestReceived(request=request, body=chat().encode()))

    produce(guarded, forged, [("sluice-signature", b"0" * 64)], victim.encode())

    sql = "SELECT toString(request_id) AS id, tenant, outcome FROM requests WHERE outcome = 'refused'"
    rows = guarded.until_rows(sql)
    assert [(row["tenant"], row["outcome"]) for row in rows] == [("default", "refused")]
    assert rows[0]["id"] != victim
    assert [value for _, value, _ in records(guarded, f"{TOPIC}-dlt")] == [forged]
    assert records(guarded, REPLIES) == []
    assert answer(guarded) == 200  # the request with this id is processed as if nothing had happened


def test_copy_of_a_signed_event_is_not_called_again(guarded: GatewayProcess) -> None:
    assert answer(guarded) == 200
    victim = named_request_id("acme", NAME)
    signed = [each for each in records(guarded, TOPIC) if ("sluice-signature", b"0" * 64) not in each[2]]
    key, value, headers = next(each for each in signed if each[0] == victim.encode())
    event = decode(value)
    assert isinstance(event, RequestReceived)
    sql = f"SELECT 1 FROM events WHERE event_type = 'RequestSettled' AND request_id = '{victim}'"
    before = len(guarded.rows(sql))

    produce(guarded, value, headers, key)

    guarded.until_rows(sql, before + 1)
    attempts = f"SELECT 1 FROM events WHERE event_type = 'AttemptStarted' AND request_id = '{victim}'"
    assert len(guarded.rows(attempts)) == 1


def test_signing_key_is_in_one_file_that_only_this_user_can_read(guarded: GatewayProcess) -> None:
    path = guarded.folder / "state" / "signing.key"
    secret = path.read_text().strip().encode()

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    files = [each for each in guarded.folder.rglob("*") if each.is_file() and each != path]
    assert not any(secret in each.read_bytes() for each in files)
    assert secret.decode() not in json.dumps(guarded.rows("SELECT * FROM events LIMIT 1000"))
