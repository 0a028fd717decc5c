from __future__ import annotations

import dataclasses
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.codec import decode, encode
from schemas.events.catalog import RequestReceived
from schemas.events.parts import Failure, Header, ReplyTo
from schemas.events.request_id import named_request_id, recorded_request_id
from schemas.kafka.headers import Headers
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.composition import filter_config
from streams.config.settings import Settings
from streams.filter.request_parsing import InvalidRecordError, ParsedRequest, RequestParser
from streams.pipeline.event_signatures import EventSignatures
from streams.pipeline.request_identity import request_id_of
from tests.factories import admitted, chat, make_request

NOW = 1_800_000_000_000
SECRETS = (b"a" * 32,)
GATEWAY_TOPIC = "llm.requests.v1"
TENANT_TOPIC = "llm.requests.acme.v1"
ACME: dict[str, Any] = {"reply_topics": ["llm.replies.tests", "llm.replies.shop"]}
TENANTS: dict[str, Any] = {"tenants": {"acme": ACME}}
KEYS: dict[str, Any] = {**TENANTS, "keys": [{"id": "k", "tenant": "acme", "hash": "sha256:" + "0" * 64}]}
SPRING: Headers = (("kafka_replyTopic", b"llm.replies.shop"), ("kafka_correlationId", b"\xff" * 16))


def record(value: bytes | None, headers: Headers = (), topic: str = GATEWAY_TOPIC) -> ConsumerRecord:
    return ConsumerRecord(topic, 1, 7, NOW - 500, b"key", value, headers)


def json_record(headers: Headers = (), topic: str = GATEWAY_TOPIC, **body: Any) -> ConsumerRecord:
    return record(chat(**body).encode(), headers, topic)


def received(**request: Any) -> bytes:
    event = RequestReceived(request=make_request(**request), body=chat().encode())
    return encode(event)


def parser_of(configuration: dict[str, Any]) -> RequestParser:
    config = filter_config(Settings.model_validate(configuration), SECRETS)
    return RequestParser(
        config.topics, config.builder, accepts_anonymous=config.accepts_anonymous, signatures=config.signatures
    )


def parse(from_record: ConsumerRecord, **configuration: Any) -> ParsedRequest:
    return parser_of(configuration).parse(from_record, NOW)


def sign(unsigned: ConsumerRecord, *secrets: bytes) -> ConsumerRecord:
    signer = EventSignatures(secrets or SECRETS)
    header = signer.header(unsigned.topic, unsigned.key or b"", unsigned.value or b"")
    return dataclasses.replace(unsigned, headers=(*unsigned.headers, header))


def refusal(from_record: ConsumerRecord, **configuration: Any) -> InvalidRecordError:
    with pytest.raises(InvalidRecordError) as caught:
        parse(from_record, **configuration)
    return caught.value


def test_json_record_becomes_a_request_with_its_headers() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = (*SPRING, ("Idempotency-Key", b"order-1"), ("deadline-ms", b"4000"), ("traceparent", trace.encode()))

    parsed = parse(json_record(headers))

    request = parsed.request
    assert request.request_id == named_request_id("default", "order-1")
    assert (request.tenant, request.key_id, request.operation, request.source) == ("default", "", "chat", "kafka")
    assert (request.received_at, request.deadline_at) == (NOW - 500, NOW + 3500)
    assert (request.idempotency_key, request.traceparent) == ("order-1", trace)
    correlation = (Header(name="kafka_correlationId", value=b"\xff" * 16),)
    assert request.reply_to == ReplyTo(topic="llm.replies.shop", key=b"key", correlation=correlation)
    assert parsed.body == chat().encode()
    assert isinstance(parsed.document, dict)


def test_json_record_without_reply_headers_has_no_reply_address() -> None:
    request = parse(json_record()).request

    assert request.reply_to is None
    assert request.request_id == recorded_request_id(GATEWAY_TOPIC, 1, 7, NOW - 500)
    assert request.deadline_at == NOW - 500 + 120_000


@pytest.mark.parametrize("body", [b"hello", b"", b"{", b"  []"])
def test_text_that_is_no_json_object_is_parsed_to_a_failure(body: bytes) -> None:
    parsed = parse(record(body, SPRING))

    assert isinstance(parsed.document, Failure)
    assert parsed.request.reply_to is not None


def test_event_of_the_ingress_is_unchanged() -> None:
    reply_to = ReplyTo(topic="llm.replies.ingress.v1", partition=2, key=b"k")
    request = make_request(reply_to=reply_to, idempotency_key="n", key_id="k")

    value = encode(RequestReceived(request=request, body=b"{}"))

    parsed = parse(record(value))

    assert parsed.request == request
    event = decode(value)
    assert isinstance(event, RequestReceived)
    assert parsed.request is event.request  # not copied: its bytes are still interned
    assert parsed.body == b"{}"


def test_topic_decides_the_tenant_of_an_event() -> None:
    value = received(tenant="other", key_id="stolen", source="http", deadline_at=NOW * 2)

    request = parse(record(value, topic=TENANT_TOPIC), **TENANTS).request

    assert (request.tenant, request.key_id, request.source) == ("acme", "", "kafka")
    assert (request.received_at, request.deadline_at) == (NOW - 500, NOW - 500 + 3_600_000)


def test_tenant_can_not_use_the_id_of_another_tenants_request() -> None:
    victim = str(uuid.uuid4())

    request = parse(record(received(request_id=victim), topic=TENANT_TOPIC), **TENANTS).request

    assert request.request_id == named_request_id("acme", victim)


def test_topic_decides_the_tenant_of_a_json_record() -> None:
    request = parse(json_record((("ce_id", b"n"),), TENANT_TOPIC), **KEYS).request

    assert (request.tenant, request.request_id) == ("acme", named_request_id("acme", "n"))


def test_json_on_the_gateways_topic_is_refused_once_keys_are_configured() -> None:
    error = refusal(json_record(SPRING), **KEYS)

    assert (error.failure.status, error.failure.code, error.dead_letter) == (403, "wrong_topic", False)
    assert "Produce to your tenant's" in error.failure.message
    assert error.request.reply_to is None  # the producer of the record is unknown, the topic is a tenant's


def test_json_on_the_gateways_topic_is_accepted_if_the_default_tenant_is_configured() -> None:
    configuration = {**KEYS, "tenants": {"acme": {}, "default": {}}}

    assert parse(json_record(), **configuration).request.tenant == "default"


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"\xff\xfe",
        b"\x00",
        b"\x00\x00\x00\x00\x07rest",
        received()[:-1],
        received() + b"more",
        encode(admitted()),
    ],
)
def test_unreadable_value_is_a_dead_letter_with_a_reply(value: bytes | None) -> None:
    error = refusal(record(value, SPRING))

    assert error.dead_letter
    assert (error.failure.status, error.failure.code) == (400, "unreadable")
    assert error.request.reply_to is not None
    assert error.request.reply_to.topic == "llm.replies.shop"


@pytest.mark.parametrize("name", ["ce_id", "Idempotency-Key", "operation", "deadline-ms", "traceparent", "ce_type"])
def test_header_that_is_not_utf8_is_a_dead_letter_with_a_reply(name: str) -> None:
    error = refusal(json_record((*SPRING, (name, b"\xff"))))

    assert error.dead_letter
    assert name in error.failure.message
    assert error.request.reply_to is not None


def test_reply_topic_that_is_not_utf8_is_a_dead_letter_without_a_reply() -> None:
    error = refusal(json_record((("reply_to", b"\xff"),)))

    assert error.dead_letter
    assert error.request.reply_to is None


@pytest.mark.parametrize("header", [("deadline-ms", b"soon"), ("operation", b"images"), ("ce_id", b"x" * 300)])
def test_invalid_header_is_refused_without_a_dead_letter(header: tuple[str, bytes]) -> None:
    error = refusal(json_record((*SPRING, header)))

    assert (error.failure.code, error.dead_letter) == ("invalid_header", False)
    assert error.request.reply_to is not None


@pytest.mark.parametrize("topic", [b"llm.admitted.v1", b"llm.replies.ingress.v1", b"elsewhere"])
@pytest.mark.parametrize("value", [chat().encode(), b"\xff"])
def test_reply_topic_that_is_not_allowed_gets_no_reply(topic: bytes, value: bytes) -> None:
    error = refusal(record(value, (("reply_to", topic),)))

    assert error.request.reply_to is None


def test_error_names_the_allowed_reply_topics() -> None:
    error = refusal(json_record((("reply_to", b"elsewhere"),)))

    assert (error.failure.code, error.dead_letter) == ("reply_topic_not_allowed", False)
    assert "llm.replies." in error.failure.message


def test_event_of_a_tenant_may_not_use_the_ingress_reply_topic() -> None:
    value = received(reply_to=ReplyTo(topic="llm.replies.ingress.v1"), source="http")

    assert refusal(record(value, topic=TENANT_TOPIC), **TENANTS).failure.code == "reply_topic_not_allowed"


@pytest.mark.parametrize("partition", [b"\xff\xff\xff\xff", b"99999999999"])
def test_invalid_reply_partition_is_refused(partition: bytes) -> None:
    error = refusal(json_record((*SPRING, ("kafka_replyPartition", partition))))

    assert error.request.reply_to is None


def test_event_id_that_is_no_uuid_becomes_one() -> None:
    request = parse(record(received(request_id="mine"))).request

    assert request.request_id == named_request_id("default", "mine")


@given(st.none() | st.binary(), st.lists(st.tuples(st.sampled_from([name for name, _ in SPRING]), st.binary())))
def test_every_record_is_parsed_or_invalid(value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    from_record = record(value, tuple(headers))

    try:
        request = parse(from_record).request
    except InvalidRecordError as error:
        request = error.request

    assert request.request_id == request_id_of(from_record, Topics())


def test_batch_request_has_the_longer_timeout_unless_the_caller_sets_one() -> None:
    batch = ("sluice-lane", b"batch")

    default = parse(json_record((batch,))).request
    explicit = parse(json_record((batch, ("deadline-ms", b"4000")))).request

    assert (default.lane, default.deadline_at - default.received_at) == ("batch", 3_600_000)
    assert (explicit.lane, explicit.deadline_at - explicit.received_at) == ("batch", 4000)


def test_unknown_lane_is_an_invalid_header() -> None:
    error = refusal(json_record((("sluice-lane", b"express"),)))

    assert (error.failure.code, error.dead_letter) == ("invalid_header", False)
    assert "sluice-lane" in error.failure.message


def test_topic_or_tenant_of_the_batch_lane_overrides_the_events_lane() -> None:
    nightly: dict[str, Any] = {"tenants": {"acme": {**ACME, "lane": "batch"}}}

    assert parse(record(received(lane="batch"))).request.lane == "batch"
    assert parse(record(received(), topic="llm.requests.batch.v1")).request.lane == "batch"
    assert parse(record(received(), topic=TENANT_TOPIC), **nightly).request.lane == "batch"
    assert parse(record(received())).request.lane == "interactive"


def test_json_on_the_batch_topic_is_refused_once_keys_are_configured() -> None:
    error = refusal(json_record(topic="llm.requests.batch.v1"), **KEYS)

    assert error.failure.code == "wrong_topic"


def test_signed_event_is_the_request_of_its_tenant_also_when_it_is_copied() -> None:
    first = sign(record(received(tenant="acme", key_id="k", request_id=str(uuid.uuid4()))))

    copied = dataclasses.replace(first, offset=99, partition=3)

    assert parse(first, **KEYS).request == parse(copied, **KEYS).request
    assert parse(first, **KEYS).request.tenant == "acme"


@pytest.mark.parametrize("topic", [GATEWAY_TOPIC, "llm.requests.batch.v1"])
@pytest.mark.parametrize("secret", [b"", b"b" * 32])
def test_unsigned_or_wrongly_signed_event_gets_no_reply_and_settles_no_id_of_another_request(
    topic: str, secret: bytes
) -> None:
    victim = str(uuid.uuid4())
    forged = record(received(tenant="acme", key_id="k", request_id=victim), SPRING, topic)
    forged = sign(forged, secret) if secret else forged

    error = refusal(forged, **KEYS)

    assert (error.failure.status, error.failure.code) == (403, "unsigned_event")
    assert error.dead_letter
    assert error.request.reply_to is None
    assert error.request.tenant == "default"
    assert error.request.request_id == recorded_request_id(topic, 1, 7, NOW - 500)
    assert parser_of(KEYS).recover(forged, NOW) == error.request


@pytest.mark.parametrize("value", [b"\0\0\0\0\1", received()[:40]], ids=["short", "cut"])
def test_damaged_event_without_a_signature_is_not_decoded(value: bytes) -> None:
    assert refusal(record(value, SPRING), **KEYS).failure.code == "unsigned_event"


def test_unsigned_event_is_accepted_on_a_tenants_topic_and_without_keys() -> None:
    assert parse(record(received(), topic=TENANT_TOPIC), **KEYS).request.tenant == "acme"
    assert parse(record(received(tenant="acme")), **TENANTS).request.tenant == "acme"


@pytest.mark.parametrize("more", [(), (("deadline-ms", b"soon"),)])
def test_refused_json_on_the_gateways_topic_settles_no_id_of_another_request(more: Headers) -> None:
    error = refusal(json_record((("Idempotency-Key", b"order-1"), *more)), **KEYS)

    assert error.request.request_id == recorded_request_id(GATEWAY_TOPIC, 1, 7, NOW - 500)
    assert error.dead_letter  # its row has the other id, and would count as unsettled


@pytest.mark.parametrize("topic", ["llm.admitted.v1", "llm.replies.ingress.v1", "elsewhere"])
def test_no_refusal_is_sent_to_a_forbidden_topic(topic: str) -> None:
    headers = (("reply-topic", topic.encode()),)
    wrong_topic = json_record(headers)
    wrong_header = json_record((*headers, ("deadline-ms", b"soon")), TENANT_TOPIC)
    reply_to = ReplyTo(topic=topic)
    long_key = record(received(idempotency_key="x" * 300, reply_to=reply_to), topic=TENANT_TOPIC)

    assert [refusal(each, **KEYS).request.reply_to for each in (wrong_topic, wrong_header, long_key)] == [None] * 3
