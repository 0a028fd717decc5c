from __future__ import annotations

from pathlib import Path

from connectors.embedded.server_properties import server_properties
from schemas.topics import MAX_MESSAGE_BYTES


def settings(controllers: dict[int, int]) -> dict[str, str]:
    text = server_properties(Path("/data"), 1, 9092, controllers)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_no_listener_is_reachable_from_elsewhere() -> None:
    listeners = settings({1: 9093})["listeners"].split(",")

    assert listeners == ["PLAINTEXT://127.0.0.1:9092", "CONTROLLER://127.0.0.1:9093"]


def test_the_largest_record_of_ours_fits() -> None:
    found = settings({1: 9093})

    assert found["message.max.bytes"] == found["replica.fetch.max.bytes"] == str(MAX_MESSAGE_BYTES)


def test_topics_are_made_on_purpose_only() -> None:
    assert settings({1: 9093})["auto.create.topics.enable"] == "false"


def test_alone_it_keeps_one_copy_of_kafkas_own_topics() -> None:
    found = settings({1: 9093})

    assert found["offsets.topic.replication.factor"] == "1"
    assert found["transaction.state.log.min.isr"] == "1"


def test_three_keep_three_copies_and_do_with_two() -> None:
    found = settings({1: 9093, 2: 9094, 3: 9095})

    assert found["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9094,3@127.0.0.1:9095"
    assert found["offsets.topic.replication.factor"] == "3"
    assert found["transaction.state.log.min.isr"] == "2"
