"""Kafka's ``server.properties`` for a small machine: KRaft, loopback only, no automatic creation of topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from schemas.kafka.topics import MAX_MESSAGE_BYTES

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Listener:
    """Listener in addition to the plaintext one: with encryption, authentication, or both."""

    name: str
    """Name of the listener, in upper case."""
    port: int
    security_protocol: str
    settings: Mapping[str, str] = field(default_factory=dict)
    """Kafka settings, without the prefix of the listener."""

    @property
    def address(self) -> str:
        """Value for ``listeners`` and ``advertised.listeners``."""
        return f"{self.name}://{HOST}:{self.port}"


@dataclass(frozen=True, slots=True)
class Guard:
    """Security of a node: additional listeners, users, and authorization."""

    listeners: Sequence[Listener] = ()
    scram: Sequence[str] = ()
    """Users created at the first start, as `SCRAM-SHA-512=[name=…,password=…]`.

    They are visible in the list of this machine's processes while the storage is formatted.
    """
    settings: Mapping[str, str] = field(default_factory=dict)
    """Kafka settings of the node, such as its authorizer."""


OPEN = Guard()
"""Only the plaintext listener."""


def server_properties(data: Path, node: int, port: int, controllers: Mapping[int, int], guard: Guard = OPEN) -> str:
    """Return the text of ``server.properties`` for a node that is broker and controller.

    Args:
        data: directory of the log.
        node: node id.
        port: port for clients.
        controllers: controller port by node id.
        guard: security in addition to the plaintext listener.

    """
    replicas = min(len(controllers), 3)
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
        "controller.quorum.voters": ",".join(f"{each}@{HOST}:{controller}" for each, controller in controllers.items()),
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        **_limits(),
        **_groups(),
        **_resources(),
        **_internal_topics(replicas),
        **guard.settings,
        **{
            f"listener.name.{listener.name.lower()}.{name}": value
            for listener in guard.listeners
            for name, value in listener.settings.items()
        },
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def _limits() -> dict[str, object]:
    return {"message.max.bytes": MAX_MESSAGE_BYTES, "replica.fetch.max.bytes": MAX_MESSAGE_BYTES}


def _groups() -> dict[str, object]:
    return {
        "group.initial.rebalance.delay.ms": 0,  # the first worker of a stage gets its partitions at once
        "group.min.session.timeout.ms": 1000,  # lets clients choose a short session timeout
        # a killed broker blocks its restart for this long
        "broker.session.timeout.ms": 3000,
        "broker.heartbeat.interval.ms": 500,
    }


def _resources() -> dict[str, object]:
    """Return settings with fewer threads, and a tenth of the log cleaner's default memory."""
    return {
        "num.network.threads": 2,
        "num.io.threads": 4,
        "background.threads": 2,
        "log.cleaner.dedupe.buffer.size": 8 * 1024 * 1024,
        "log.segment.bytes": 128 * 1024 * 1024,
        "log.index.size.max.bytes": 1024 * 1024,
    }


def _internal_topics(replicas: int) -> dict[str, object]:
    """Return settings with few partitions, because each one has files to open at every start."""
    in_sync = max(1, replicas - 1)
    return {
        "offsets.topic.num.partitions": 8,
        "offsets.topic.replication.factor": replicas,
        "transaction.state.log.num.partitions": 4,
        "transaction.state.log.replication.factor": replicas,
        "transaction.state.log.min.isr": in_sync,
        "share.coordinator.state.topic.num.partitions": 4,
        "share.coordinator.state.topic.replication.factor": replicas,
        "share.coordinator.state.topic.min.isr": in_sync,
    }
