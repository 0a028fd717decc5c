from __future__ import annotations

from schemas.kafka.topics import Topics
from streams.config.deployment import KafkaSettings
from streams.runtime.static_membership import group_instance_id


def test_a_worker_without_a_name_comes_and_goes() -> None:
    assert group_instance_id("", Topics().sources_of("filter")) is None


def test_a_worker_has_the_same_name_after_a_restart() -> None:
    assert group_instance_id("pod-0", Topics().sources_of("call")) == group_instance_id(
        "pod-0", Topics().sources_of("call")
    )


def test_two_workers_of_a_stage_have_two_names() -> None:
    assert group_instance_id("pod-0", Topics().sources_of("call")) != group_instance_id(
        "pod-1", Topics().sources_of("call")
    )


def test_a_worker_that_reads_a_topic_more_is_another_member() -> None:
    before, after = Topics(), Topics(tenants=("shop",))
    assert group_instance_id("up", before.sources_of("filter")) != group_instance_id("up", after.sources_of("filter"))
    assert group_instance_id("up", before.sources_of("route")) == group_instance_id("up", after.sources_of("route"))


def test_a_worker_whose_topics_have_more_partitions_is_another_member() -> None:
    assert group_instance_id("up", Topics(partitions=4).sources_of("call")) != group_instance_id(
        "up", Topics(partitions=8).sources_of("call")
    )


def test_the_longest_name_that_may_be_configured_is_one_that_kafka_takes() -> None:
    longest = KafkaSettings(instance_id="x" * 240).instance_id
    assert len(group_instance_id(longest, Topics().sources_of("call")) or "") == 249
