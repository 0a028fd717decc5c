from __future__ import annotations

import re

import pytest

from schemas.kafka.stages import STAGES
from schemas.kafka.topics import Topics

TOPICS = Topics("llm.", 6, tenants=("acme", "beta"))


def test_the_names_are_those_of_the_documentation() -> None:
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


def test_kafka_allows_every_name() -> None:
    for topic in (*TOPICS.all, *TOPICS.dead_letters):
        assert re.fullmatch(r"[a-zA-Z0-9._-]{1,249}", topic.name)


def test_a_request_keeps_its_partition_from_stage_to_stage() -> None:
    counts = {topic.partitions for topic in TOPICS.all if topic is not TOPICS.config}

    assert counts == {6}


def test_a_dead_letter_topic_has_the_partitions_of_its_original() -> None:
    originals = {topic.dead_letters: topic for topic in TOPICS.all}

    assert all(letters.partitions == originals[letters.name].partitions for letters in TOPICS.dead_letters)


def test_what_a_deciding_or_calling_stage_reads_has_a_dead_letter_topic() -> None:
    letters = {topic.name for topic in TOPICS.dead_letters}

    read = [topic for stage in STAGES if stage != "audit" for topic in TOPICS.sources_of(stage)]

    assert {topic.dead_letters for topic in read} <= letters


def test_only_the_filter_and_the_audit_read_requests() -> None:
    readers = {stage for stage in STAGES if set(TOPICS.sources_of(stage)) & set(TOPICS.all_requests)}

    assert readers == {"filter", "audit"}


def test_audit_reads_everything_but_the_replies() -> None:
    read = set(TOPICS.sources_of("audit"))

    assert read == ({*TOPICS.all} | {*TOPICS.dead_letters}) - {TOPICS.ingress_replies}


def test_no_stage_reads_what_a_later_one_writes() -> None:
    order = [TOPICS.all_requests, TOPICS.sources_of("route"), TOPICS.sources_of("call"), (TOPICS.outcomes,)]

    places = [order.index(TOPICS.sources_of(stage)) for stage in STAGES if stage != "audit"]

    assert places == sorted(places)


def test_each_lane_has_its_own_topic_before_each_stage_up_to_the_call() -> None:
    for stage in ("filter", "route", "call"):
        names = {topic.name for topic in TOPICS.sources_of(stage)}

        assert sum(TOPICS.is_batch(name) for name in names) == 1


def test_a_lane_has_its_own_way() -> None:
    assert TOPICS.for_lane("batch").routed.name == "llm.routed.batch.v1"
    assert TOPICS.for_lane("interactive").routed is TOPICS.routed


def test_what_comes_after_the_call_is_of_both_lanes() -> None:
    shared = (TOPICS.attempts, TOPICS.outcomes, TOPICS.ingress_replies, TOPICS.feedback)

    assert not any(TOPICS.is_batch(topic.name) for topic in shared)


def test_every_stage_has_a_group_of_its_own() -> None:
    assert len({TOPICS.group(stage) for stage in STAGES}) == len(STAGES)
    assert TOPICS.group("call") == "llm.call"


def test_requests_are_kept_the_shortest_since_they_may_hold_personal_data() -> None:
    kept = min(topic.retention_ms for topic in (TOPICS.admitted, TOPICS.routed, TOPICS.attempts, TOPICS.outcomes))

    assert all(topic.retention_ms < kept for topic in TOPICS.all_requests)


def test_a_tenant_owns_its_request_topic_and_nobody_owns_the_ingress_one() -> None:
    assert TOPICS.owner_of("llm.requests.acme.v1") == "acme"
    assert TOPICS.owner_of(TOPICS.requests.name) is None
    assert TOPICS.owner_of(TOPICS.batch.requests.name) is None
    assert TOPICS.owner_of("llm.requests.unknown.v1") is None


@pytest.mark.parametrize("name", ["llm.replies.orders", "llm.replies.a-b_c.v1"])
def test_a_caller_may_name_a_reply_topic(name: str) -> None:
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
def test_a_caller_may_name_no_other(name: str) -> None:
    assert not TOPICS.is_reply(name)


def test_two_prefixes_share_no_topic_and_no_group() -> None:
    one, other = Topics("a."), Topics("b.")

    assert not {topic.name for topic in one.all} & {topic.name for topic in other.all}
    assert one.group("call") != other.group("call")
