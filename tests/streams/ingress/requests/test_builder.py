from __future__ import annotations

import uuid

import pytest

from schemas.events.parts import Request
from schemas.events.request_id import new_request_id
from streams.config.settings import Settings
from streams.ingress.errors import ApiError
from streams.ingress.requests.authentication import Principal
from streams.ingress.requests.builder import (
    ReplyAddress,
    build_request,
    own_partitions,
    prefers_async,
    traceparent,
    with_reply_address,
)
from streams.ingress.requests.sticky_partitioner import STICKY_S, StickyPartitioner

TRACE = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def arrived(headers: dict[bytes, bytes], tenant: str = "acme") -> Request:
    settings = Settings.model_validate({"tenants": {"nightly": {"lane": "batch"}}})
    caller, request_id = Principal(tenant, "k1"), new_request_id()
    return build_request(headers, operation="chat", caller=caller, request_id=request_id, settings=settings)


def test_a_request_without_a_name_has_a_fresh_id() -> None:
    first, second = arrived({}), arrived({})

    assert first.request_id != second.request_id
    assert uuid.UUID(first.request_id).version == 7


def test_an_idempotency_key_names_a_request_within_its_tenant() -> None:
    headers = {b"idempotency-key": b"order-7"}

    first, again, other = arrived(headers), arrived(headers), arrived(headers, tenant="globex")

    assert first.request_id == again.request_id != other.request_id
    assert first.idempotency_key == "order-7"


@pytest.mark.parametrize("name", [b"\xff", b"x" * 256])
def test_an_idempotency_key_that_cannot_stand_in_a_record_is_refused(name: bytes) -> None:
    with pytest.raises(ApiError, match="Idempotency-Key"):
        arrived({b"idempotency-key": name})


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 120),
        ({b"x-sluice-lane": b"batch"}, 3600),
        ({b"x-request-timeout": b"1.5"}, 1.5),
        ({b"x-request-timeout": b"1e9"}, 3600),
    ],
)
def test_the_deadline_is_the_callers_if_it_says_one_and_an_hour_at_most(
    headers: dict[bytes, bytes], seconds: float
) -> None:
    request = arrived(headers)

    assert request.deadline_at - request.received_at == seconds * 1000


@pytest.mark.parametrize("given", [b"soon", b"0", b"-1", b"nan", b""])
def test_a_timeout_that_is_no_positive_number_is_refused(given: bytes) -> None:
    with pytest.raises(ApiError, match="X-Request-Timeout"):
        arrived({b"x-request-timeout": given})


def test_a_header_or_the_tenants_configuration_chooses_the_lane() -> None:
    assert arrived({}).lane == "interactive"
    assert arrived({b"x-sluice-lane": b"batch"}).lane == "batch"
    assert arrived({}, tenant="nightly").lane == "batch"


def test_a_lane_that_there_is_not_is_refused() -> None:
    with pytest.raises(ApiError, match="X-Sluice-Lane"):
        arrived({b"x-sluice-lane": b"express"})


@pytest.mark.parametrize(("given", "kept"), [(TRACE, TRACE.decode()), (b"", ""), (b"00-xyz", ""), (TRACE + b"\n", "")])
def test_a_traceparent_is_passed_on_only_if_it_is_one(given: bytes, kept: str) -> None:
    assert traceparent({b"traceparent": given}) == kept


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (b"respond-async", True),
        (b"wait=10, Respond-Async", True),
        (b"respond-async;x=1", True),
        (b"no", False),
        (b"", False),
    ],
)
def test_prefer_respond_async_is_understood_in_any_case_and_company(given: bytes, expected: bool) -> None:
    assert prefers_async({b"prefer": given}) is expected


def test_instances_share_the_reply_partitions_without_overlap() -> None:
    shares = [own_partitions(5, instance, 3) for instance in range(3)]

    assert sorted(partition for share in shares for partition in share) == [0, 1, 2, 3, 4]


def test_more_instances_than_partitions_leave_some_without() -> None:
    assert own_partitions(2, 2, 3) == ()


def test_replies_are_asked_for_on_own_partitions_in_turn_with_a_correlation_of_their_own() -> None:
    now = [0.0]
    address = ReplyAddress("llm.replies.ingress.v1", (1, 3), StickyPartitioner(lambda: now[0]))
    request = arrived({})

    first, one = with_reply_address(request, address, stream=True)
    now[0] += STICKY_S
    second, two = with_reply_address(request, address, stream=True)

    assert first.reply_to is not None
    assert second.reply_to is not None
    assert {first.reply_to.partition, second.reply_to.partition} == {1, 3}
    assert first.reply_to.key == request.request_id.encode()
    assert (first.reply_to.correlation[0].value, second.reply_to.correlation[0].value) == (one.encode(), two.encode())
    assert one != two


def test_a_place_for_chunks_is_named_only_for_who_may_ask_for_them() -> None:
    address = ReplyAddress("llm.replies.ingress.v1", (0,), StickyPartitioner())

    assert with_reply_address(arrived({}), address, stream=True)[0].stream_topic == "llm.replies.ingress.v1"
    assert with_reply_address(arrived({}), address, stream=False)[0].stream_topic == ""
