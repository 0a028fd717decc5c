"""Kafka's own configuration for a small machine: KRaft, loopback only, no topic made by accident."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas.kafka.topics import MAX_MESSAGE_BYTES

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Listener:
    """One more door beside the plain one: encrypted, with a login, or both."""

    name: str
    """Upper case letters."""
    port: int
    security_protocol: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Kafka's own, without the prefix that makes them this listener's."""

    @property
    def address(self) -> str:
        """Where it listens, and what clients are told."""
        return f"{self.name}://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Doors with encryption or a login, who may come in, and what they may do there."""

    listeners: Sequence[Listener] = ()
    scram: Sequence[str] = ()
    """Users that are there from the first start, as `SCRAM-SHA-512=[name=…,password=…]`.

    Whoever may see this machine's processes can read them while the folder is being prepared.
    """
    settings: Mapping[str, str] = field(default_factory=dict)
    """Kafka's own, of the whole node; such as its authorizer."""


OPEN = Guard()
"""No door but the plain one."""


def server_properties(data: Path, node: int, port: int, controllers: Mapping[int, int], guard: Guard = OPEN) -> str:
    """The text of ``server.properties`` for one node that is broker and controller at once.

    Args:
        data: where the log lives.
        node: this node's id.
        port: where clients connect.
        controllers: the controller port of every node, by its id.
        guard: what there is beside the plain listener.

    """
    copies = min(len(controllers), 3)
    clients = (Listener("PLAINTEXT", port, "PLAINTEXT"), *guard.listeners)
    settings: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "listeners": ",".join([*(each.address for each in clients), f"CONTROLLER://{HOST}:{controllers[node]}"]),
        "advertised.listeners": ",".join(each.address for each in clients),
        "listener.security.protocol.map": ",".join(
            ["CONTROLLER:PLAINTEXT", *(f"{each.name}:{each.security_protocol}" for each in clients)]
        ),
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.quorum.voters": ",".join(f"{each}@{HOST}:{at}" for each, at in controllers.items()),
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        **_limits(),
        **_groups(),
        **_frugality(),
        **_internal_topics(copies),
        **guard.settings,
        **{
            f"listener.name.{at.name.lower()}.{name}": said
            for at in guard.listeners
            for name, said in at.settings.items()
        },
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
