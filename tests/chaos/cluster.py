"""Cluster of three Apache Kafka brokers, whose nodes can be killed, stopped and paused."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import signal
import socket
import uuid
from pathlib import Path

from connectors.kafka.connection import admin_client
from connectors.kafka.embedded.broker import EmbeddedBroker
from tests.eventually import eventually

NODES = (1, 2, 3)


def free_ports(count: int) -> list[int]:
    """Return distinct free ports of the loopback interface."""
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class KafkaCluster:
    """Three nodes, each of them broker and controller; any one of them may be down."""

    def __init__(self, folder: Path) -> None:
        ports = free_ports(2 * len(NODES))
        controllers = dict(zip(NODES, ports, strict=False))
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._folder = folder
        self._brokers = {
            node: EmbeddedBroker(
                folder / f"broker-{node}", port, node=node, controllers=controllers, cluster_id=cluster_id
            )
            for node, port in zip(NODES, ports[len(NODES) :], strict=True)
        }

    @property
    def bootstrap_servers(self) -> str:
        return ",".join(broker.bootstrap_servers for broker in self._brokers.values())

    async def start(self) -> None:
        await asyncio.gather(*(broker.start() for broker in self._brokers.values()))
        await self.wait_until_in_sync()

    async def stop(self) -> None:
        await asyncio.gather(*(broker.stop() for broker in self._brokers.values()))

    # --- operations on one node

    def kill(self, node: int) -> None:
        self._brokers[node].kill()

    async def stop_one(self, node: int) -> None:
        await self._brokers[node].stop()

    async def start_one(self, node: int) -> None:
        await self._brokers[node].start()

    def signal(self, node: int, number: signal.Signals) -> None:
        pid = self._brokers[node].pid
        assert pid is not None, f"broker {node} does not run"
        os.kill(pid, number)

    # --- roles

    def controller(self) -> int:
        """Return the leader of the controller quorum, read from the nodes' files: clients' metadata names any node."""
        notes = [
            json.loads((self._folder / f"broker-{node}/data/__cluster_metadata-0/quorum-state").read_text("utf-8"))
            for node in NODES
        ]
        return int(max(notes, key=lambda note: int(note["leaderEpoch"]))["leaderId"])

    async def leader(self, topic: str, partition: int = 0) -> int:
        async with admin_client(self.bootstrap_servers) as client:
            (described,) = await client.describe_topics([topic])
        return next(int(part["leader"]) for part in described["partitions"] if part["partition"] == partition)

    async def wait_until_in_sync(self, within_s: float = 90.0) -> None:
        """Every node is there, and every partition has all its copies in sync again."""
        await eventually(self._is_whole, within=within_s, every=0.3)

    async def _is_whole(self) -> bool:
        try:
            async with admin_client(self.bootstrap_servers) as client:
                names = await client.list_topics()
                described = await client.describe_topics(list(names)) if names else []
        except Exception as error:
            raise AssertionError(str(error)) from error
        parts = [part for topic in described for part in topic["partitions"]]
        return all(len(part["isr"]) == len(part["replicas"]) for part in parts)
