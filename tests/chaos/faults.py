"""What can go wrong, by name. Each fault strikes, holds as long as it must, and is healed when it returns."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiokafka import AIOKafkaProducer

from tests.chaos.cluster import NODES
from tests.chaos.double import Mode
from tests.chaos.gateway import INGRESSES, WORKERS
from tests.chaos.scene import Scene

STAGES = ("filter", "route", "call", "reply", "ingress", "audit")
PAST_THE_SESSION_S = 15.0
"""Longer than the group's session timeout (10 s) and the broker's (3 s): others have taken over by then."""


class Fault(Protocol):
    """One thing that goes wrong."""

    async def happen(self, scene: Scene) -> None:
        """Strike, hold, and heal."""
        ...


@dataclass(frozen=True, slots=True)
class Signal:
    """One process of a stage gets a signal; whoever supervises it starts it again."""

    stage: str
    number: signal.Signals

    async def happen(self, scene: Scene) -> None:
        names = [name for name in scene.gateway.processes if name.partition("-")[0] == self.stage]
        scene.gateway.processes[scene.draw.choice(names)].signal(self.number)


@dataclass(frozen=True, slots=True)
class Pause:
    """One process of a stage stands still past its session timeout, and then goes on as if nothing had been."""

    stage: str
    for_s: float = PAST_THE_SESSION_S

    async def happen(self, scene: Scene) -> None:
        process = scene.gateway.processes[f"{self.stage}-{scene.draw.randrange(2)}"]
        process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.for_s)
        finally:
            process.signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Away:
    """A process is stopped for so long."""

    name: str
    for_s: float

    async def happen(self, scene: Scene) -> None:
        process = scene.gateway.processes[self.name]
        await process.stop()
        await asyncio.sleep(self.for_s)
        await process.start()


@dataclass(frozen=True, slots=True)
class DiskFull:
    """ClickHouse's disk has no room left, for longer than the buffer before it lasts: long prompts see to that."""

    for_s: float = 30.0
    prompts: int = 120
    characters: int = 60_000

    async def happen(self, scene: Scene) -> None:
        audit = scene.gateway.processes["audit"]
        await asyncio.to_thread(scene.disk.fill, audit.pid)
        try:
            for _ in range(self.prompts):  # five events of each hold it: 36 MB, and the buffer takes twice 8 MiB
                scene.load.ask("kafka", "again", self.characters)
                await asyncio.sleep(self.for_s / self.prompts)
        finally:
            scene.disk.free(audit.pid)


@dataclass(frozen=True, slots=True)
class KillBroker:
    """kill -9 of a broker: any, the leader of a partition of outcomes, or the controller. Back after a while."""

    which: str
    for_s: float = 5.0

    async def happen(self, scene: Scene) -> None:
        node = await _node(scene, self.which)
        scene.cluster.kill(node)
        await asyncio.sleep(self.for_s)
        await scene.cluster.start_one(node)
        await scene.cluster.until_whole()


@dataclass(frozen=True, slots=True)
class StopBroker:
    """A broker ends in order and comes back, as for an upgrade."""

    async def happen(self, scene: Scene) -> None:
        await _restart_broker(scene, scene.draw.choice(NODES))


@dataclass(frozen=True, slots=True)
class PauseBroker:
    """A broker stands still: its connections stay open, and nothing answers on them."""

    which: str = "leader"
    for_s: float = PAST_THE_SESSION_S

    async def happen(self, scene: Scene) -> None:
        node = await _node(scene, self.which)
        scene.cluster.signal(node, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.for_s)
        finally:
            scene.cluster.signal(node, signal.SIGCONT)
        await scene.cluster.until_whole()


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """Every process and every broker is restarted in order, one after the other."""

    async def happen(self, scene: Scene) -> None:
        for name in (*INGRESSES, *WORKERS):
            await scene.gateway.processes[name].restart()
            await scene.gateway.until_ready()
        for node in NODES:
            await _restart_broker(scene, node)


@dataclass(frozen=True, slots=True)
class Provider:
    """The provider behaves so for a while."""

    mode: Mode
    for_s: float = 12.0

    async def happen(self, scene: Scene) -> None:
        await scene.provider.become(self.mode)
        await asyncio.sleep(self.for_s)
        await scene.provider.become("ok")


@dataclass(frozen=True, slots=True)
class Skew:
    """One process of each of some stages has a wrong clock for a while."""

    ahead_s: Mapping[str, float]
    for_s: float = 15.0

    async def happen(self, scene: Scene) -> None:
        processes = scene.gateway.processes
        await asyncio.gather(*(processes[name].restart(skew_s) for name, skew_s in self.ahead_s.items()))
        await scene.gateway.until_ready()
        await asyncio.sleep(self.for_s)
        await asyncio.gather(*(processes[name].restart() for name in self.ahead_s))


@dataclass(frozen=True, slots=True)
class HangUps:
    """A crowd of callers asks and hangs up."""

    callers: int = 60

    async def happen(self, scene: Scene) -> None:
        for number in range(self.callers):
            scene.load.ask("leaving", ("again", "once")[number % 2])
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class HotTenant:
    """One tenant asks for as much as all others in a minute, at once."""

    requests: int = 400

    async def happen(self, scene: Scene) -> None:
        for number in range(self.requests):
            scene.load.ask("hot", ("again", "once")[number % 2])


@dataclass(frozen=True, slots=True)
class Poison:
    """A record that nobody can read, on every topic that a stage reads."""

    async def happen(self, scene: Scene) -> None:
        topics = scene.topics
        read = [topic for stage in ("filter", "route", "call", "reply") for topic in topics.sources_of(stage)]
        async with AIOKafkaProducer(bootstrap_servers=scene.cluster.bootstrap_servers) as producer:
            for topic in (*read, topics.attempts, topics.feedback, topics.health):
                for value in (b"\x00\x00\x00\x00\x01poison", b"\x00\x00", b"\xff\xfe no text"):
                    kept = await producer.send_and_wait(topic.name, value, key=b"poison")
                    scene.poison.add((kept.topic, kept.partition, kept.offset))


async def _node(scene: Scene, which: str) -> int:
    match which:
        case "leader":
            return await scene.cluster.leader(scene.topics.outcomes.name)
        case "controller":
            return scene.cluster.controller()
        case _:
            return scene.draw.choice(NODES)


async def _restart_broker(scene: Scene, node: int) -> None:
    await scene.cluster.stop_one(node)
    await scene.cluster.start_one(node)
    await scene.cluster.until_whole()


FAULTS: Mapping[str, Fault] = {
    **{f"kill-{stage}": Signal(stage, signal.SIGKILL) for stage in STAGES},
    **{f"term-{stage}": Signal(stage, signal.SIGTERM) for stage in STAGES},
    **{f"pause-{stage}": Pause(stage) for stage in ("filter", "call", "reply")},
    "kill-broker": KillBroker("any"),
    "kill-leader": KillBroker("leader"),
    "kill-controller": KillBroker("controller"),
    "term-broker": StopBroker(),
    "pause-broker": PauseBroker(),
    "rolling-restart": RollingRestart(),
    "audit-away": Away("audit", 30.0),
    "disk-full": DiskFull(),
    "provider-down": Provider("down"),
    "provider-slow": Provider("slow"),
    "provider-limiting": Provider("limiting"),
    "provider-failing": Provider("failing"),
    "provider-hanging": Provider("hanging"),
    "provider-cutting": Provider("cutting"),
    "hang-ups": HangUps(),
    "clock-skew": Skew({"ingress-1": 20.0, "filter-1": -20.0, "call-1": 30.0, "reply-1": -30.0}),
    "poison": Poison(),
    "hot-tenant": HotTenant(),
}
"""Every fault there is, in the order in which it happens unless a seed shuffles it."""
