from __future__ import annotations

from typing import Any

import pytest

from schemas.events.parts import Header, ReplyTo
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from schemas.openai.errors import invalid
from streams.config.settings import Settings
from streams.pipeline import request_metadata as asking
from tests.factories import make_request

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CHAT: dict[str, Any] = {"messages": []}
EMBEDDINGS: dict[str, Any] = {"input": "a"}


@pytest.mark.parametrize(
    ("headers", "document", "operation"),
    [
        ((), CHAT, "chat"),
        ((), EMBEDDINGS, "embeddings"),
        ((), {"messages": [], "input": "a"}, "chat"),
        ((), {}, "chat"),
        ((), invalid("invalid_json", "no"), "chat"),
        ((("ce_type", b"com.acme.embeddings.requested"),), CHAT, "embeddings"),
        ((("ce_type", b"com.acme.something"),), EMBEDDINGS, "embeddings"),
        ((("operation", b"chat"), ("ce_type", b"embeddings")), EMBEDDINGS, "chat"),
    ],
)
def test_the_operation_is_said_by_a_header_or_shown_by_the_body(headers: Any, document: Any, operation: str) -> None:
    assert asking.operation(headers, document) == operation


@pytest.mark.parametrize("value", [b"images", b"\xff"])
def test_an_operation_that_is_none_is_an_error(value: bytes) -> None:
    with pytest.raises(ValueError, match="operation"):
        asking.operation((("operation", value),), CHAT)


def test_who_does_not_say_waits_as_long_as_is_configured() -> None:
    settings = Settings(deadline_s=1.5, batch_deadline_s=60)

    assert asking.timeout_ms((), "interactive", settings) == 1500
    assert asking.timeout_ms((), "batch", settings) == 60_000
    assert asking.timeout_ms((("deadline-ms", b"20"),), "batch", settings) == 20


@pytest.mark.parametrize("value", [b"0", b"-5", b"1.5", b"soon", b"3600001", b"9" * 40, "\u0661".encode(), b" 5"])
def test_a_deadline_that_is_no_reasonable_number_is_an_error(value: bytes) -> None:
    with pytest.raises(ValueError, match="deadline-ms"):
        asking.timeout_ms((("deadline-ms", value),), "interactive", Settings())


@pytest.mark.parametrize(
    ("said", "tenant", "lane"),
    [
        ("", "acme", "interactive"),
        ("interactive", "acme", "interactive"),
        ("batch", "acme", "batch"),
        ("", "nightly", "batch"),
        ("interactive", "nightly", "batch"),
    ],
)
def test_a_request_is_of_the_batch_lane_if_its_caller_or_its_tenant_says_so(said: str, tenant: str, lane: str) -> None:
    settings = Settings.model_validate({"tenants": {"acme": {}, "nightly": {"lane": "batch"}}})

    assert asking.lane(said, tenant, settings) == lane


def test_there_are_no_other_lanes() -> None:
    with pytest.raises(ValueError, match="neither interactive nor batch"):
        asking.lane("express", "default", Settings())


@pytest.mark.parametrize(("timestamp", "received"), [(900, 900), (1_100, 1_000), (-1, 1_000), (0, 1_000)])
def test_the_records_time_counts_unless_it_has_none_or_lies_ahead(timestamp: int, received: int) -> None:
    record = ConsumerRecord("llm.requests.v1", 0, 0, timestamp, None, None, ())

    assert asking.received_at(record, 1_000) == received


def test_a_name_has_its_length() -> None:
    assert asking.idempotency_key((("Idempotency-Key", b"order-1"),)) == "order-1"
    with pytest.raises(ValueError, match="255"):
        asking.idempotency_key((("ce_id", b"x" * 256),))


@pytest.mark.parametrize(("said", "kept"), [(TRACE, TRACE), ("", ""), ("ada@example.org", ""), (TRACE + "\n", "")])
def test_only_a_trace_is_kept_as_a_trace(said: str, kept: str) -> None:
    assert asking.valid_traceparent(said) == kept


@pytest.mark.parametrize(
    ("topic", "source", "allowed"),
    [
        ("llm.replies.shop", "kafka", True),
        ("llm.replies.ingress.v1", "http", True),
        ("llm.replies.ingress.v1", "kafka", False),
        ("llm.admitted.v1", "kafka", False),
        ("llm.outcomes.v1-dlt", "http", False),
        ("elsewhere", "kafka", False),
        ("llm.replies.", "kafka", False),
    ],
)
def test_replies_go_to_reply_topics_alone(topic: str, source: str, allowed: bool) -> None:
    reply_to = ReplyTo(topic=topic)

    failure = asking.check_reply_address(make_request(source=source), reply_to, Topics())

    assert (failure is None) is allowed


@pytest.mark.parametrize("partition", [-1, 2**31])
def test_a_reply_partition_is_a_partitions_number(partition: int) -> None:
    reply_to = ReplyTo(topic="llm.replies.shop", partition=partition)

    assert asking.check_reply_address(make_request(), reply_to, Topics()) is not None


@pytest.mark.parametrize("topic", ["llm.admitted.v1", "llm.replies.ingress.v1", "__consumer_offsets", "llm.replies."])
def test_chunks_go_to_reply_topics_alone(topic: str) -> None:
    reply_to = ReplyTo(topic="llm.replies.shop")

    failure = asking.check_reply_address(make_request(source="kafka", stream_topic=topic), reply_to, Topics())

    assert failure is not None
    assert failure.code == "reply_topic_not_allowed"


@pytest.mark.parametrize("size", [asking.MAX_ECHOED_BYTES, asking.MAX_ECHOED_BYTES + 1])
def test_what_is_echoed_has_an_end(size: int) -> None:
    by_key = ReplyTo(topic="llm.replies.shop", key=bytes(size))
    by_correlation = ReplyTo(topic="llm.replies.shop", correlation=(Header(name="correlation-id", value=bytes(size)),))

    failures = [asking.check_reply_address(make_request(), each, Topics()) for each in (by_key, by_correlation)]

    assert [failure is None for failure in failures] == [size == asking.MAX_ECHOED_BYTES] * 2
