from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.events.parts import Header, ReplyTo
from schemas.kafka.request_headers import REPLY_HEADER_STYLES
from schemas.kafka.topics import Topics
from streams.filter.reply_address_check import MAX_ECHOED_BYTES, check_reply_address
from tests.factories import make_request

TOPICS = Topics(open_tenant="default")


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
    failure = check_reply_address(make_request(source=source), ReplyTo(topic=topic), TOPICS)

    assert (failure is None) is is_allowed


@pytest.mark.parametrize("partition", [-1, 2**31])
def test_reply_partition_is_a_valid_partition_number(partition: int) -> None:
    reply_to = ReplyTo(topic="llm.replies.shop", partition=partition)

    assert check_reply_address(make_request(), reply_to, TOPICS) is not None


@pytest.mark.parametrize("topic", ["llm.admitted.v1", "llm.replies.ingress.v1", "__consumer_offsets", "llm.replies."])
def test_chunks_go_only_to_reply_topics(topic: str) -> None:
    reply_to = ReplyTo(topic="llm.replies.shop")

    failure = check_reply_address(make_request(source="kafka", stream_topic=topic), reply_to, TOPICS)

    assert failure is not None
    assert failure.code == "reply_topic_not_allowed"


@pytest.mark.parametrize("size", [MAX_ECHOED_BYTES, MAX_ECHOED_BYTES + 1])
def test_echoed_key_and_correlation_have_at_most_64_kib(size: int) -> None:
    by_key = ReplyTo(topic="llm.replies.shop", key=bytes(size))
    by_correlation = ReplyTo(topic="llm.replies.shop", correlation=(Header(name="correlation-id", value=bytes(size)),))

    failures = [check_reply_address(make_request(), each, TOPICS) for each in (by_key, by_correlation)]

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

    failure = check_reply_address(make_request(), ReplyTo(topic="llm.replies.shop", correlation=correlation), TOPICS)

    assert (failure is None) is (not names or (len(names) == 1 and names[0] in KNOWN_NAMES))


NAMES = st.text("ab-", min_size=1, max_size=4)


@given(st.lists(NAMES, min_size=2, max_size=5, unique=True), st.data())
def test_tenant_names_no_reply_or_stream_topic_of_another_tenant(names: list[str], data: st.DataObject) -> None:
    topics = Topics(tenants=tuple(names))
    tenant, owner = data.draw(st.sampled_from(names)), data.draw(st.sampled_from(names))
    topic = f"llm.replies.{owner}" + data.draw(st.sampled_from(["", ".v1", ".a", ".a.b"]))

    as_reply = check_reply_address(make_request(tenant=tenant, source="kafka"), ReplyTo(topic=topic), topics)
    request = make_request(tenant=tenant, source="kafka", stream_topic=topic)
    as_stream = check_reply_address(request, ReplyTo(topic=f"llm.replies.{tenant}"), topics)

    assert (as_reply is None, as_stream is None) == (tenant == owner, tenant == owner)


@pytest.mark.parametrize(
    ("topic", "is_allowed"),
    [
        ("llm.replies.x", True),
        ("llm.replies.a", False),
        ("llm.replies.a.v1", False),
        ("llm.replies.ab", True),
        ("llm.replies.team", False),
        ("llm.replies.shop.v1", False),
        ("llm.replies.shop", True),
    ],
)
def test_open_tenant_has_the_reply_topics_that_no_other_tenant_owns(topic: str, is_allowed: bool) -> None:
    owned = {"a": ("llm.replies.team", "llm.replies.shop.*")}
    topics = Topics(tenants=("a",), reply_topics=owned, open_tenant="default")

    assert (check_reply_address(make_request(source="kafka"), ReplyTo(topic=topic), topics) is None) is is_allowed
    by_owner = check_reply_address(make_request(tenant="a", source="kafka"), ReplyTo(topic=topic), topics)
    assert (by_owner is None) is not is_allowed


def test_chunks_of_an_event_that_claims_to_be_of_the_ingress_go_only_to_its_tenants_topics() -> None:
    request = make_request(source="http", tenant="a", stream_topic="llm.replies.b")

    failure = check_reply_address(request, ReplyTo(topic="llm.replies.ingress.v1"), Topics(tenants=("a", "b")))

    assert failure is not None
    assert "llm.replies.a" in failure.message
