"""Kafka's own configuration for a small machine: KRaft, loopback only, no topic made by accident."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from schemas.topics import MAX_MESSAGE_BYTES

HOST = "127.0.0.1"


def server_properties(data: Path, node: int, port: int, controllers: Mapping[int, int]) -> str:
    """The text of ``server.properties`` for one node that is broker and controller at once.

    Args:
        data: where the log lives.
        node: this node's id.
        port: where clients connect.
        controllers: the controller port of every node, by its id.

    """
    copies = min(len(controllers), 3)
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controllers[node]}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.voters": ",".join(f"{each}@{HOST}:{at}" for each, at in controllers.items()),
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        **_limits(),
        **_groups(),
        **_frugality(),
        **_internal_topics(copies),
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _limits() -> dict[str, object]:
    return {"message.max.bytes": MAX_MESSAGE_BYTES, "replica.fetch.max.bytes": MAX_MESSAGE_BYTES}


def _groups() -> dict[str, object]:
    return {
        "group.initial.rebalance.delay.ms": 0,  # a stage's first worker is served at once
        "group.min.session.timeout.ms": 1000,  # a dead worker may be noticed as soon as the client likes
        # how long a broker that was killed keeps its successor out
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }


def _frugality() -> dict[str, object]:
    """Fewer threads, and a tenth of the memory that the log cleaner takes for itself."""
    return {
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.segment.bytes": 128 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
    }


def _internal_topics(copies: int) -> dict[str, object]:
    """Few partitions: each is files to open at every start."""
    in_sync = max(1, copies - 1)
    return {
        "offsets.topic.num.partitions": 8,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_sync,
    }
