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
    properties = settings({1: 9093})

    assert properties["message.max.bytes"] == properties["replica.fetch.max.bytes"] == str(MAX_MESSAGE_BYTES)


def test_automatic_topic_creation_is_disabled() -> None:
    assert settings({1: 9093})["auto.create.topics.enable"] == "false"


def test_single_node_has_one_replica_of_internal_topics() -> None:
    properties = settings({1: 9093})

    assert properties["offsets.topic.replication.factor"] == "1"
    assert properties["transaction.state.log.min.isr"] == "1"


def test_three_nodes_have_three_replicas_and_need_two_in_sync() -> None:
    properties = settings({1: 9093, 2: 9094, 3: 9095})

    assert properties["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9094,3@127.0.0.1:9095"
    assert properties["offsets.topic.replication.factor"] == "3"
    assert properties["transaction.state.log.min.isr"] == "2"


def test_guard_adds_listeners_with_their_settings() -> None:
    listener = Listener("LOGIN", 9094, "SASL_SSL", {"sasl.enabled.mechanisms": "PLAIN"})
    guard = Guard([listener], settings={"super.users": "User:ANONYMOUS"})

    text = server_properties(Path("/data"), 1, 9092, {1: 9093}, guard)

    properties = dict(line.split("=", 1) for line in text.splitlines())
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:9092,LOGIN://127.0.0.1:9094,CONTROLLER://127.0.0.1:9093"
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:9092,LOGIN://127.0.0.1:9094"
    assert properties["listener.security.protocol.map"] == "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,LOGIN:SASL_SSL"
    assert properties["listener.name.login.sasl.enabled.mechanisms"] == "PLAIN"
    assert properties["super.users"] == "User:ANONYMOUS"
