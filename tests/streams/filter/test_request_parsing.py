from __future__ import annotations

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
from streams.config.settings import Settings
from streams.filter.request_parsing import InvalidRecordError, ParsedRequest, parse_request
from streams.pipeline.request_identity import request_id_of
from tests.factories import admitted, chat, make_request

NOW = 1_800_000_000_000
OPEN = "llm.requests.v1"
ACMES = "llm.requests.acme.v1"
TENANTS: dict[str, Any] = {"tenants": {"acme": {}}}
KEYS: dict[str, Any] = {**TENANTS, "keys": [{"id": "k", "tenant": "acme", "hash": "sha256:" + "0" * 64}]}
SPRING: Headers = (("kafka_replyTopic", b"llm.replies.shop"), ("kafka_correlationId", b"\xff" * 16))


def record(value: bytes | None, headers: Headers = (), topic: str = OPEN) -> ConsumerRecord:
    return ConsumerRecord(topic, 1, 7, NOW - 500, b"key", value, headers)


def json_record(headers: Headers = (), topic: str = OPEN, **body: Any) -> ConsumerRecord:
    return record(chat(**body).encode(), headers, topic)


def received(**request: Any) -> bytes:
    event = RequestReceived(request=make_request(**request), body=chat().encode())
    return encode(event)


def arrive(from_record: ConsumerRecord, **configuration: Any) -> ParsedRequest:
    return parse_request(from_record, Settings.model_validate(configuration), NOW)


def refusal(from_record: ConsumerRecord, **configuration: Any) -> InvalidRecordError:
    with pytest.raises(InvalidRecordError) as caught:
        arrive(from_record, **configuration)
    return caught.value


def test_json_becomes_a_request_with_all_that_its_headers_say() -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = (*SPRING, ("Idempotency-Key", b"order-1"), ("deadline-ms", b"4000"), ("traceparent", trace.encode()))

    arrival = arrive(json_record(headers))

    request = arrival.request
    assert request.request_id == named_request_id("default", "order-1")
    assert (request.tenant, request.key_id, request.operation, request.source) == ("default", "", "chat", "kafka")
    assert (request.received_at, request.deadline_at) == (NOW - 500, NOW + 3500)
    assert (request.idempotency_key, request.traceparent) == ("order-1", trace)
    correlation = (Header(name="kafka_correlationId", value=b"\xff" * 16),)
    assert request.reply_to == ReplyTo(topic="llm.replies.shop", key=b"key", correlation=correlation)
    assert arrival.body == chat().encode()
    assert isinstance(arrival.document, dict)


def test_json_that_asks_for_no_reply_is_a_request_too() -> None:
    request = arrive(json_record()).request

    assert request.reply_to is None
    assert request.request_id == recorded_request_id(OPEN, 1, 7, NOW - 500)
    assert request.deadline_at == NOW - 500 + 120_000


@pytest.mark.parametrize("body", [b"hello", b"", b"{", b"  []"])
def test_text_that_is_no_json_object_arrives_to_be_refused(body: bytes) -> None:
    arrival = arrive(record(body, SPRING))

    assert isinstance(arrival.document, Failure)
    assert arrival.request.reply_to is not None


def test_the_ingresss_event_is_taken_as_it_is() -> None:
    reply_to = ReplyTo(topic="llm.replies.ingress.v1", partition=2, key=b"k")
    request = make_request(reply_to=reply_to, idempotency_key="n", key_id="k")

    value = encode(RequestReceived(request=request, body=b"{}"))

    arrival = arrive(record(value))

    assert arrival.request == request
    event = decode(value)
    assert isinstance(event, RequestReceived)
    assert arrival.request is event.request  # not copied: its bytes are still interned
    assert arrival.body == b"{}"


def test_on_a_tenants_topic_the_topic_says_who_asks() -> None:
    value = received(tenant="other", key_id="stolen", source="http", deadline_at=NOW * 2)

    request = arrive(record(value, topic=ACMES), **TENANTS).request

    assert (request.tenant, request.key_id, request.source) == ("acme", "", "kafka")
    assert (request.received_at, request.deadline_at) == (NOW - 500, NOW - 500 + 3_600_000)


def test_no_tenant_can_take_the_id_of_anothers_request() -> None:
    victim = str(uuid.uuid4())

    request = arrive(record(received(request_id=victim), topic=ACMES), **TENANTS).request

    assert request.request_id == named_request_id("acme", victim)


def test_a_tenants_json_is_the_tenants() -> None:
    request = arrive(json_record((("ce_id", b"n"),), ACMES), **KEYS).request

    assert (request.tenant, request.request_id) == ("acme", named_request_id("acme", "n"))


def test_with_keys_configured_nobody_may_write_json_to_the_ingresss_topic() -> None:
    error = refusal(json_record(SPRING), **KEYS)

    assert (error.failure.status, error.failure.code, error.dead_letter) == (403, "wrong_topic", False)
    assert "produce to your tenant's" in error.failure.message
    assert error.request.reply_to is not None


def test_unless_the_open_tenant_is_configured_too() -> None:
    configuration = {**KEYS, "tenants": {"acme": {}, "default": {}}}

    assert arrive(json_record(), **configuration).request.tenant == "default"


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
def test_what_no_reader_can_read_is_a_dead_letter_with_a_reply(value: bytes | None) -> None:
    error = refusal(record(value, SPRING))

    assert error.dead_letter
    assert (error.failure.status, error.failure.code) == (400, "unreadable")
    assert error.request.reply_to is not None
    assert error.request.reply_to.topic == "llm.replies.shop"


@pytest.mark.parametrize("name", ["ce_id", "Idempotency-Key", "operation", "deadline-ms", "traceparent", "ce_type"])
def test_a_header_that_is_not_utf8_is_a_dead_letter_with_a_reply(name: str) -> None:
    error = refusal(json_record((*SPRING, (name, b"\xff"))))

    assert error.dead_letter
    assert name in error.failure.message
    assert error.request.reply_to is not None


def test_a_reply_topic_that_is_not_utf8_is_a_dead_letter_without_a_reply() -> None:
    error = refusal(json_record((("reply_to", b"\xff"),)))

    assert error.dead_letter
    assert error.request.reply_to is None


@pytest.mark.parametrize("header", [("deadline-ms", b"soon"), ("operation", b"images"), ("ce_id", b"x" * 300)])
def test_a_header_that_says_what_can_not_be_is_refused_and_no_dead_letter(header: tuple[str, bytes]) -> None:
    error = refusal(json_record((*SPRING, header)))

    assert (error.failure.code, error.dead_letter) == ("invalid_header", False)
    assert error.request.reply_to is not None


@pytest.mark.parametrize("topic", [b"llm.admitted.v1", b"llm.replies.ingress.v1", b"elsewhere"])
@pytest.mark.parametrize("value", [chat().encode(), b"\xff"])
def test_a_reply_topic_that_is_not_allowed_is_never_written_to(topic: bytes, value: bytes) -> None:
    error = refusal(record(value, (("reply_to", topic),)))

    assert error.request.reply_to is None


def test_who_names_a_reply_topic_that_is_not_allowed_is_told_which_are() -> None:
    error = refusal(json_record((("reply_to", b"elsewhere"),)))

    assert (error.failure.code, error.dead_letter) == ("reply_topic_not_allowed", False)
    assert "llm.replies." in error.failure.message


def test_a_tenants_event_may_not_be_replied_to_on_the_ingresss_topic() -> None:
    value = received(reply_to=ReplyTo(topic="llm.replies.ingress.v1"), source="http")

    assert refusal(record(value, topic=ACMES), **TENANTS).failure.code == "reply_topic_not_allowed"


@pytest.mark.parametrize("partition", [b"\xff\xff\xff\xff", b"99999999999"])
def test_a_reply_partition_that_can_not_be_is_refused(partition: bytes) -> None:
    error = refusal(json_record((*SPRING, ("kafka_replyPartition", partition))))

    assert error.request.reply_to is None


def test_an_event_whose_id_is_no_uuid_gets_one() -> None:
    request = arrive(record(received(request_id="mine"))).request

    assert request.request_id == named_request_id("default", "mine")


@given(
    st.none() | st.binary() | st.just(received()),
    st.lists(st.tuples(st.sampled_from(["ce_id", "Idempotency-Key", "request_id"]), st.none() | st.binary())),
)
def test_every_record_has_an_id_and_the_same_at_every_reading(
    value: bytes | None, headers: list[tuple[str, bytes | None]]
) -> None:
    once = request_id_of(record(value, tuple(headers)), Topics())
    again = request_id_of(record(value, tuple(headers)), Topics())

    assert once == again == str(uuid.UUID(once))


@given(st.none() | st.binary(), st.lists(st.tuples(st.sampled_from([name for name, _ in SPRING]), st.binary())))
def test_whatever_comes_in_arrives_or_is_unreadable(value: bytes | None, headers: list[tuple[str, bytes]]) -> None:
    from_record = record(value, tuple(headers))

    try:
        request = arrive(from_record).request
    except InvalidRecordError as error:
        request = error.request

    assert request.request_id == request_id_of(from_record, Topics())


def test_a_batch_request_may_take_longer_unless_its_caller_says_otherwise() -> None:
    batch = ("sluice-lane", b"batch")

    patient = arrive(json_record((batch,))).request
    hasty = arrive(json_record((batch, ("deadline-ms", b"4000")))).request

    assert (patient.lane, patient.deadline_at - patient.received_at) == ("batch", 3_600_000)
    assert (hasty.lane, hasty.deadline_at - hasty.received_at) == ("batch", 4000)


def test_a_lane_that_there_is_not_is_the_callers_to_mend() -> None:
    error = refusal(json_record((("sluice-lane", b"express"),)))

    assert (error.failure.code, error.dead_letter) == ("invalid_header", False)
    assert "sluice-lane" in error.failure.message


def test_an_event_keeps_its_lane_and_the_topic_and_the_tenant_can_only_make_it_batch() -> None:
    nightly: dict[str, Any] = {"tenants": {"acme": {"lane": "batch"}}}

    assert arrive(record(received(lane="batch"))).request.lane == "batch"
    assert arrive(record(received(), topic="llm.requests.batch.v1")).request.lane == "batch"
    assert arrive(record(received(), topic=ACMES), **nightly).request.lane == "batch"
    assert arrive(record(received())).request.lane == "interactive"


def test_once_there_are_keys_the_batch_topic_is_the_gateways_own_too() -> None:
    error = refusal(json_record(topic="llm.requests.batch.v1"), **KEYS)

    assert error.failure.code == "wrong_topic"
