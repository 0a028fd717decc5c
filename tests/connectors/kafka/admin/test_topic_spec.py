from __future__ import annotations

import dataclasses

import pytest

from connectors.kafka.admin.topic_spec import Replication, TopicSpec, describe_differences, desired_spec, differences
from schemas.kafka.topics import DAY, HOUR, Topic

RIGHT = desired_spec(Topic("t", (), DAY, 4), Replication(3))


def found(**changes: object) -> TopicSpec:
    return dataclasses.replace(RIGHT, **changes)  # type: ignore[arg-type]


def configured(**configs: str) -> TopicSpec:
    return found(configs={**RIGHT.configs, **{name.replace("_", "."): value for name, value in configs.items()}})


@pytest.mark.parametrize(("factor", "asked", "in_sync"), [(1, 0, 1), (2, 0, 1), (3, 0, 2), (5, 0, 2), (2, 2, 2)])
def test_min_insync_is_two_of_three_replicas_unless_configured(factor: int, asked: int, in_sync: int) -> None:
    assert Replication(factor, asked).in_sync == in_sync


def test_compacted_topic_has_no_segment_time() -> None:
    assert "segment.ms" not in desired_spec(Topic("t", (), -1, 1, "compact"), Replication()).configs


def test_equal_specs_have_no_differences() -> None:
    assert differences(RIGHT, RIGHT) == []


def test_segment_time_and_other_settings_are_not_compared() -> None:
    assert differences(configured(segment_ms="1", compression_type="zstd"), RIGHT) == []


@pytest.mark.parametrize(
    ("shape", "said", "alterable"),
    [
        (found(partitions=2), "partitions is 2 and should be 4; `sluice topics --alter` changes it", True),
        (found(partitions=9), "partitions is 9 and should be 4; Kafka can't remove partitions: set kafka", False),
        (found(replicas=1), "replication.factor is 1 and should be 3; move it with `kafka-reassign", False),
        (configured(cleanup_policy="compact"), "cleanup.policy is compact and should be delete; `sluice", True),
        (configured(min_insync_replicas="1"), "min.insync.replicas is 1 and should be 2; `sluice", True),
        (configured(max_message_bytes="1"), "max.message.bytes is 1 and should be ", True),
        (
            configured(retention_ms=str(36 * HOUR)),
            "retention.ms is 129600000 (36 h) and should be 86400000 (24 h)",
            True,
        ),
        (configured(retention_ms="-1"), "retention.ms is -1 and should be 86400000 (24 h); `sluice", True),
    ],
)
def test_difference_names_found_and_wanted_value_and_remedy(shape: TopicSpec, said: str, alterable: bool) -> None:
    (difference,) = differences(shape, RIGHT)

    assert describe_differences("t", [difference]).startswith(f"topic t: {said}")
    assert difference.alterable == alterable


def test_description_of_a_topic_repeats_no_remedy() -> None:
    shape = dataclasses.replace(configured(retention_ms="1", cleanup_policy="compact"), partitions=2, replicas=1)

    said = describe_differences("t", differences(shape, RIGHT))

    assert said.count(" should be ") == 4
    assert said.count("sluice topics --alter") == 1
    assert "kafka.retention_hours" in said
    assert "kafka-reassign-partitions.sh" in said
    assert "\n" not in said
