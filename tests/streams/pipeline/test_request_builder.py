from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from schemas.events.parts import ReplyTo, Request
from streams.config.settings import Tenant
from streams.pipeline.request_builder import RequestBuilder
from streams.pipeline.request_metadata import RequestMetadata

NOW = 1_800_000_000_000
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
BUILDER = RequestBuilder({"acme": Tenant(), "nightly": Tenant(lane="batch")}, deadline_s=1.5, batch_deadline_s=60)


def build(tenant: str = "acme", **metadata: Any) -> Request:
    fields: dict[str, Any] = {"received_at": NOW, "operation": "chat", **metadata}
    return BUILDER.build(RequestMetadata(**fields), request_id="id", tenant=tenant, source="kafka", key_id="k")


def test_request_has_every_field_of_the_metadata() -> None:
    reply_to = ReplyTo(topic="llm.replies.me")
    metadata = RequestMetadata(
        received_at=NOW,
        operation="embeddings",
        idempotency_key="order-1",
        lane="batch",
        timeout_ms=20,
        traceparent=TRACE,
        reply_to=reply_to,
        stream_topic="llm.replies.chunks",
    )

    request = BUILDER.build(metadata, request_id="id", tenant="acme", source="http", key_id="k")

    assert request == Request(
        request_id="id",
        tenant="acme",
        key_id="k",
        operation="embeddings",
        source="http",
        received_at=NOW,
        deadline_at=NOW + 20,
        idempotency_key="order-1",
        traceparent=TRACE,
        reply_to=reply_to,
        stream_topic="llm.replies.chunks",
        lane="batch",
    )
    shared = {field.name for field in dataclasses.fields(metadata)} - {"timeout_ms"}
    assert all(getattr(request, name) == getattr(metadata, name) for name in shared)


@pytest.mark.parametrize(
    ("lane", "timeout_ms", "expected"), [("interactive", None, 1500), ("batch", None, 60_000), ("batch", 20, 20)]
)
def test_deadline_is_the_callers_or_the_default_of_the_lane(lane: str, timeout_ms: int | None, expected: int) -> None:
    assert build(lane=lane, timeout_ms=timeout_ms).deadline_at == NOW + expected


@pytest.mark.parametrize(
    ("lane", "tenant", "expected"),
    [
        ("interactive", "acme", "interactive"),
        ("batch", "acme", "batch"),
        ("batch", "unknown", "batch"),
        ("interactive", "unknown", "interactive"),
        ("interactive", "nightly", "batch"),
    ],
)
def test_lane_is_batch_if_the_caller_or_the_tenant_chooses_it(lane: str, tenant: str, expected: str) -> None:
    assert build(tenant, lane=lane).lane == expected


def test_malformed_traceparent_is_dropped() -> None:
    assert build(traceparent=TRACE).traceparent == TRACE
    assert build(traceparent="ada@example.org").traceparent == ""


def test_unreadable_request_is_interactive_and_keeps_its_reply_address() -> None:
    reply_to = ReplyTo(topic="llm.replies.me")

    request = BUILDER.build_unreadable(NOW, request_id="id", tenant="nightly", reply_to=reply_to)

    assert (request.lane, request.operation, request.source) == ("interactive", "chat", "kafka")
    assert (request.received_at, request.deadline_at, request.reply_to) == (NOW, NOW + 1500, reply_to)
