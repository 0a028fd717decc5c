from __future__ import annotations

import re

import pytest

from schemas.kafka.stages import STAGES
from schemas.kafka.topics import Topics

TOPICS = Topics("llm.", 6, tenants=("acme", "beta"))


def test_topic_names_are_those_of_the_documentation() -> None:
    assert [topic.name for topic in Topics().all] == [
        "llm.requests.v1",
        "llm.requests.batch.v1",
        "llm.admitted.v1",
        "llm.admitted.batch.v1",
        "llm.routed.v1",
        "llm.routed.batch.v1",
        "llm.attempts.v1",
        "llm.outcomes.v1",
        "llm.replies.ingress.v1",
        "llm.feedback.v1",
        "llm.health.v1",
        "llm.config.v1",
    ]


def test_topic_names_are_valid_in_kafka() -> None:
    for topic in (*TOPICS.all, *TOPICS.dead_letters):
        assert re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic.name)


def test_topics_of_all_stages_have_the_same_partition_count() -> None:
    counts = {topic.partitions for topic in TOPICS.all if topic is not TOPICS.config}

    assert counts == {6}


def test_dead_letter_topic_has_the_partition_count_of_its_topic() -> None:
    originals = {topic.dead_letters: topic for topic in TOPICS.all}

    assert all(topic.partitions == originals[topic.name].partitions for topic in TOPICS.dead_letters)


def test_source_topics_of_every_stage_but_audit_have_a_dead_letter_topic() -> None:
    dead_letters = {topic.name for topic in TOPICS.dead_letters}

    read = [topic for stage in STAGES if stage != "audit" for topic in TOPICS.sources_of(stage)]

    assert {topic.dead_letters for topic in read} <= dead_letters


def test_only_filter_and_audit_read_request_topics() -> None:
    readers = {stage for stage in STAGES if set(TOPICS.sources_of(stage)) & set(TOPICS.all_requests)}

    assert readers == {"filter", "audit"}


def test_audit_reads_all_topics_but_ingress_replies() -> None:
    read = set(TOPICS.sources_of("audit"))

    assert read == ({*TOPICS.all} | {*TOPICS.dead_letters}) - {TOPICS.ingress_replies}


def test_stages_read_topics_in_pipeline_order() -> None:
    order = [TOPICS.all_requests, TOPICS.sources_of("route"), TOPICS.sources_of("call"), (TOPICS.outcomes,)]

    positions = [order.index(TOPICS.sources_of(stage)) for stage in STAGES if stage != "audit"]

    assert positions == sorted(positions)


def test_filter_route_and_call_read_one_batch_topic_each() -> None:
    for stage in ("filter", "route", "call"):
        names = {topic.name for topic in TOPICS.sources_of(stage)}

        assert sum(TOPICS.is_batch(name) for name in names) == 1


def test_for_lane_returns_the_topics_of_the_lane() -> None:
    assert TOPICS.for_lane("batch").routed.name == "llm.routed.batch.v1"
    assert TOPICS.for_lane("interactive").routed is TOPICS.routed


def test_topics_after_the_call_stage_are_shared_by_both_lanes() -> None:
    shared = (TOPICS.attempts, TOPICS.outcomes, TOPICS.ingress_replies, TOPICS.feedback)

    assert not any(TOPICS.is_batch(topic.name) for topic in shared)


def test_each_stage_has_its_own_consumer_group() -> None:
    assert len({TOPICS.group(stage) for stage in STAGES}) == len(STAGES)
    assert TOPICS.group("call") == "llm.call"


def test_request_topics_have_the_shortest_retention() -> None:
    # requests are not screened yet: they may contain personal data
    shortest_later_ms = min(
        topic.retention_ms for topic in (TOPICS.admitted, TOPICS.routed, TOPICS.attempts, TOPICS.outcomes)
    )

    assert all(topic.retention_ms < shortest_later_ms for topic in TOPICS.all_requests)


def test_owner_of_a_request_topic_is_its_tenant_or_none() -> None:
    assert TOPICS.owner_of("llm.requests.acme.v1") == "acme"
    assert TOPICS.owner_of(TOPICS.requests.name) is None
    assert TOPICS.owner_of(TOPICS.batch.requests.name) is None
    assert TOPICS.owner_of("llm.requests.unknown.v1") is None


@pytest.mark.parametrize("name", ["llm.replies.orders", "llm.replies.a-b_c.v1"])
def test_valid_reply_topic_is_accepted(name: str) -> None:
    assert TOPICS.is_reply(name)


@pytest.mark.parametrize(
    "name",
    [
        "llm.replies.",
        "llm.replies.ingress.v1",
        "llm.admitted.v1",
        "llm.requests.acme.v1",
        "xllm.replies.orders",
        "llmxreplies.orders",
        "llm.replies.orders\n",
        "llm.replies.a/b",
        "llm.replies.a\0",
        "llm.replies.ä",
        "LLM.replies.orders",
        "llm.Replies.orders",
        " llm.replies.orders",
        "llm.replies",
        "__consumer_offsets",
        "__transaction_state",
        "llm.config.v1",
        "llm.requests.v1-dlt",
        "llm.replies." + "a" * 238,
        "",
    ],
)
def test_other_topic_is_not_a_reply_topic(name: str) -> None:
    assert not TOPICS.is_reply(name)


def test_two_prefixes_share_no_topics_and_no_consumer_groups() -> None:
    first, second = Topics("a."), Topics("b.")

    assert not {topic.name for topic in first.all} & {topic.name for topic in second.all}
    assert first.group("call") != second.group("call")
