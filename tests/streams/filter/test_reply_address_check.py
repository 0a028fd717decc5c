from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.parts import Header, ReplyTo
from schemas.kafka.request_headers import REPLY_HEADER_STYLES
from schemas.kafka.topics import Topics
from streams.filter.reply_address_check import MAX_ECHOED_BYTES, check_reply_address
from tests.factories import make_request


@pytest.mark.parametrize(
    ("topic", "source", "is_allowed"),
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
def test_replies_go_only_to_reply_topics(topic: str, source: str, is_allowed: bool) -> None:
    failure = check_reply_address(make_request(source=source), ReplyTo(topic=topic), Topics())

    assert (failure is None) is is_allowed


@pytest.mark.parametrize("partition", [-1, 2**31])
def test_reply_partition_is_a_valid_partition_number(partition: int) -> None:
    reply_to = ReplyTo(topic="llm.replies.shop", partition=partition)

    assert check_reply_address(make_request(), reply_to, Topics()) is not None


@pytest.mark.parametrize("topic", ["llm.admitted.v1", "llm.replies.ingress.v1", "__consumer_offsets", "llm.replies."])
def test_chunks_go_only_to_reply_topics(topic: str) -> None:
    reply_to = ReplyTo(topic="llm.replies.shop")

    failure = check_reply_address(make_request(source="kafka", stream_topic=topic), reply_to, Topics())

    assert failure is not None
    assert failure.code == "reply_topic_not_allowed"


@pytest.mark.parametrize("size", [MAX_ECHOED_BYTES, MAX_ECHOED_BYTES + 1])
def test_echoed_key_and_correlation_have_at_most_64_kib(size: int) -> None:
    by_key = ReplyTo(topic="llm.replies.shop", key=bytes(size))
    by_correlation = ReplyTo(topic="llm.replies.shop", correlation=(Header(name="correlation-id", value=bytes(size)),))

    failures = [check_reply_address(make_request(), each, Topics()) for each in (by_key, by_correlation)]

    assert [failure is None for failure in failures] == [size == MAX_ECHOED_BYTES] * 2


KNOWN_NAMES = [style.correlation for style in REPLY_HEADER_STYLES]
FORGED_NAMES = [
    "sluice-status",
    "__TypeId__",
    "request_id",
    "traceparent",
    *(style.topic for style in REPLY_HEADER_STYLES),
]


@given(st.lists(st.sampled_from(KNOWN_NAMES) | st.sampled_from(FORGED_NAMES) | st.text(max_size=30), max_size=3))
def test_correlation_is_at_most_one_header_of_a_known_dialect(names: list[str]) -> None:
    correlation = tuple(Header(name=name, value=b"1") for name in names)

    failure = check_reply_address(make_request(), ReplyTo(topic="llm.replies.shop", correlation=correlation), Topics())

    assert (failure is None) is (not names or (len(names) == 1 and names[0] in KNOWN_NAMES))
