from __future__ import annotations

from pathlib import Path

from connectors.kafka.embedded.server_properties import Guard, Listener, server_properties
from schemas.kafka.topics import MAX_MESSAGE_BYTES


def settings(controllers: dict[int, int]) -> dict[str, str]:
    text = server_properties(Path("/data"), 1, 9092, controllers)
    return dict(line.split("=", 1) for line in text.splitlines())


def test_listeners_bind_loopback_only() -> None:
    listeners = settings({1: 9093})["listeners"].split(",")

    assert listeners == ["PLAINTEXT://127.0.0.1:9092", "CONTROLLER://127.0.0.1:9093"]


def test_largest_record_fits() -> None:
    found = settings({1: 9093})

    assert found["message.max.bytes"] == found["replica.fetch.max.bytes"] == str(MAX_MESSAGE_BYTES)


def test_automatic_topic_creation_is_disabled() -> None:
    assert settings({1: 9093})["auto.create.topics.enable"] == "false"


def test_single_node_has_one_replica_of_internal_topics() -> None:
    found = settings({1: 9093})

    assert found["offsets.topic.replication.factor"] == "1"
    assert found["transaction.state.log.min.isr"] == "1"


def test_three_nodes_have_three_replicas_and_need_two_in_sync() -> None:
    found = settings({1: 9093, 2: 9094, 3: 9095})

    assert found["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9094,3@127.0.0.1:9095"
    assert found["offsets.topic.replication.factor"] == "3"
    assert found["transaction.state.log.min.isr"] == "2"


def test_guard_adds_listeners_with_their_settings() -> None:
    door = Listener("LOGIN", 9094, "SASL_SSL", {"sasl.enabled.mechanisms": "PLAIN"})
    guard = Guard([door], settings={"super.users": "User:ANONYMOUS"})

    text = server_properties(Path("/data"), 1, 9092, {1: 9093}, guard)

    found = dict(line.split("=", 1) for line in text.splitlines())
    assert found["listeners"] == "PLAINTEXT://127.0.0.1:9092,LOGIN://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093"
    assert found["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092,LOGIN://127.0.0.1:9094"
    assert found["listener.security.protocol.map"] == "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_SSL"
    assert found["listener.name.login.sasl.enabled.mechanisms"] == "PLAIN"
    assert found["super.users"] == "User:ANONYMOUS"
