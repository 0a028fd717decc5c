from __future__ import annotations

from schemas.kafka.topics import Topics
from streams.config.deployment import Kafka
from streams.runtime.static_membership import member_name


def test_a_worker_without_a_name_comes_and_goes() -> None:
    assert member_name("", Topics().read_by("filter")) is None


def test_a_worker_has_the_same_name_after_a_restart() -> None:
    assert member_name("pod-0", Topics().read_by("call")) == member_name("pod-0", Topics().read_by("call"))


def test_two_workers_of_a_stage_have_two_names() -> None:
    assert member_name("pod-0", Topics().read_by("call")) != member_name("pod-1", Topics().read_by("call"))


def test_a_worker_that_reads_a_topic_more_is_another_member() -> None:
    before, after = Topics(), Topics(tenants=("shop",))
    assert member_name("up", before.read_by("filter")) != member_name("up", after.read_by("filter"))
    assert member_name("up", before.read_by("route")) == member_name("up", after.read_by("route"))


def test_a_worker_whose_topics_have_more_partitions_is_another_member() -> None:
    assert member_name("up", Topics(partitions=4).read_by("call")) != member_name(
        "up", Topics(partitions=8).read_by("call")
    )


def test_the_longest_name_that_may_be_configured_is_one_that_kafka_takes() -> None:
    longest = Kafka(instance_id="x" * 240).instance_id
    assert len(member_name(longest, Topics().read_by("call")) or "") == 249
