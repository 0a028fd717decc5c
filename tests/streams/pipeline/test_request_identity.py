from __future__ import annotations

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.avro.codec import encode
from schemas.events.catalog import RequestReceived
from schemas.events.request_id import named_request_id, recorded_request_id
from schemas.kafka.headers import Headers
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.pipeline.request_identity import request_id_of
from tests.factories import chat, make_request

GATEWAY_TOPIC = "llm.requests.v1"
TENANT_TOPIC = "llm.requests.acme.v1"
TOPICS = Topics(tenants=("acme",))


def record(value: bytes | None, headers: Headers = (), topic: str = GATEWAY_TOPIC) -> ConsumerRecord:
    return ConsumerRecord(topic, 1, 7, 1_800_000_000_000, b"key", value, headers)


def event(request_id: str) -> bytes:
    return encode(RequestReceived(request=make_request(request_id=request_id), body=chat().encode()))


@pytest.mark.parametrize(("topic", "tenant"), [(GATEWAY_TOPIC, "default"), (TENANT_TOPIC, "acme")])
def test_idempotency_key_decides_the_id_within_the_tenant(topic: str, tenant: str) -> None:
    assert request_id_of(record(b"{}", (("ce_id", b"n"),), topic), TOPICS) == named_request_id(tenant, "n")


def test_record_without_key_is_identified_by_its_position() -> None:
    assert request_id_of(record(b"{}"), TOPICS) == recorded_request_id(GATEWAY_TOPIC, 1, 7, 1_800_000_000_000)


def test_event_of_the_ingress_keeps_its_id_and_a_tenants_event_does_not() -> None:
    request_id = str(uuid.uuid4())

    assert request_id_of(record(event(request_id)), TOPICS) == request_id
    assert request_id_of(record(event(request_id), (), TENANT_TOPIC), TOPICS) == named_request_id("acme", request_id)


def test_event_id_that_is_no_uuid_becomes_one() -> None:
    assert request_id_of(record(event("mine")), TOPICS) == named_request_id("default", "mine")


@given(
    st.none() | st.binary() | st.just(event(str(uuid.uuid4()))),
    st.lists(st.tuples(st.sampled_from(["ce_id", "Idempotency-Key", "request_id"]), st.none() | st.binary())),
)
def test_every_record_has_the_same_uuid_each_time(value: bytes | None, headers: list[tuple[str, bytes | None]]) -> None:
    first = request_id_of(record(value, tuple(headers)), TOPICS)
    second = request_id_of(record(value, tuple(headers)), TOPICS)

    assert first == second == str(uuid.UUID(first))
