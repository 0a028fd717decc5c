"""Faults by name. ``inject`` returns when the fault is undone."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from aiokafka import AIOKafkaProducer

from tests.chaos.cluster import NODES
from tests.chaos.gateway import INGRESSES, WORKERS
from tests.chaos.mock_provider import Mode
from tests.chaos.testbed import Testbed

STAGES = ("filter", "route", "call", "reply", "ingress", "audit")
LONGER_THAN_SESSION_S = 15.0
"""Longer than the session timeouts of the group (10 s) and of a broker (3 s): others have taken over by then."""


class Fault(Protocol):
    """One fault."""

    async def inject(self, testbed: Testbed) -> None:
        """Cause the fault, hold it, and undo it."""
        ...


@dataclass(frozen=True, slots=True)
class SignalProcess:
    """Sends a signal to one process of a stage, which its supervisor restarts."""

    stage: str
    number: signal.Signals

    async def inject(self, testbed: Testbed) -> None:
        names = [name for name in testbed.gateway.processes if name.partition("-")[0] == self.stage]
        testbed.gateway.processes[testbed.random.choice(names)].signal(self.number)


@dataclass(frozen=True, slots=True)
class PauseProcess:
    """Pauses one process of a stage past its session timeout (SIGSTOP, then SIGCONT)."""

    stage: str
    for_s: float = LONGER_THAN_SESSION_S

    async def inject(self, testbed: Testbed) -> None:
        process = testbed.gateway.processes[f"{self.stage}-{testbed.random.randrange(2)}"]
        process.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(self.for_s)
        finally:
            process.signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class StopProcess:
    """Stops a process for a time."""

    name: str
    for_s: float

    async def inject(self, testbed: Testbed) -> None:
        process = testbed.gateway.processes[self.name]
        await process.stop()
        await asyncio.sleep(self.for_s)
        await process.start()


@dataclass(frozen=True, slots=True)
class FillDisk:
    """Fills ClickHouse's disk for longer than audit's buffer lasts, which long prompts fill."""

    for_s: float = 30.0
    prompts: int = 120
    characters: int = 60_000

    async def inject(self, testbed: Testbed) -> None:
        audit = testbed.gateway.processes["audit"]
        await asyncio.to_thread(testbed.disk.fill, audit.pid)
        try:
            for _ in range(
                self.prompts
            ):  # five events of each request hold its prompt: 36 MB; the buffer takes 2 x 8 MiB
                testbed.load.send("kafka", "again", self.characters)
                await asyncio.sleep(self.for_s / self.prompts)
        finally:
            testbed.disk.free(audit.pid)


@dataclass(frozen=True, slots=True)
class KillBroker:
    """Kills a broker with SIGKILL and restarts it: any, the leader of a partition of outcomes, or the controller."""

    which: str
    for_s: float = 5.0

    async def inject(self, testbed: Testbed) -> None:
        node = await _choose_broker(testbed, self.which)
        testbed.cluster.kill(node)
        await asyncio.sleep(self.for_s)
        await testbed.cluster.start_one(node)
        await testbed.cluster.wait_until_in_sync()


@dataclass(frozen=True, slots=True)
class RestartBroker:
    """Restarts a broker gracefully, as for an upgrade."""

    async def inject(self, testbed: Testbed) -> None:
        await _restart_broker(testbed, testbed.random.choice(NODES))


@dataclass(frozen=True, slots=True)
class PauseBroker:
    """Pauses a broker: its connections stay open without an answer."""

    which: str = "leader"
    for_s: float = LONGER_THAN_SESSION_S

    async def inject(self, testbed: Testbed) -> None:
        node = await _choose_broker(testbed, self.which)
        testbed.cluster.signal(node, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.for_s)
        finally:
            testbed.cluster.signal(node, signal.SIGCONT)
        await testbed.cluster.wait_until_in_sync()


@dataclass(frozen=True, slots=True)
class RollingRestart:
    """Restarts every process and every broker gracefully, one by one."""

    async def inject(self, testbed: Testbed) -> None:
        for name in (*INGRESSES, *WORKERS):
            await testbed.gateway.processes[name].restart()
            await testbed.gateway.wait_until_ready()
        for node in NODES:
            await _restart_broker(testbed, node)


@dataclass(frozen=True, slots=True)
class DegradeProvider:
    """Switches the mock provider's behaviour for a time."""

    mode: Mode
    for_s: float = 12.0

    async def inject(self, testbed: Testbed) -> None:
        await testbed.provider.set_mode(self.mode)
        await asyncio.sleep(self.for_s)
        await testbed.provider.set_mode("ok")


@dataclass(frozen=True, slots=True)
class SkewClocks:
    """Gives one process of each named stage a wrong wall clock for a time."""

    ahead_s: Mapping[str, float]
    for_s: float = 15.0

    async def inject(self, testbed: Testbed) -> None:
        processes = testbed.gateway.processes
        await asyncio.gather(*(processes[name].restart(skew_s) for name, skew_s in self.ahead_s.items()))
        await testbed.gateway.wait_until_ready()
        await asyncio.sleep(self.for_s)
        await asyncio.gather(*(processes[name].restart() for name in self.ahead_s))


@dataclass(frozen=True, slots=True)
class Disconnects:
    """Sends requests whose callers disconnect."""

    callers: int = 60

    async def inject(self, testbed: Testbed) -> None:
        for number in range(self.callers):
            testbed.load.send("disconnecting", ("again", "once")[number % 2])
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class HotTenant:
    """Sends a burst of one tenant: as many requests as all others in 20 s at 20 requests/s."""

    requests: int = 400

    async def inject(self, testbed: Testbed) -> None:
        for number in range(self.requests):
            testbed.load.send("hot", ("again", "once")[number % 2])


@dataclass(frozen=True, slots=True)
class UndecodableRecords:
    """Writes undecodable records to every topic that a stage reads."""

    async def inject(self, testbed: Testbed) -> None:
        topics = testbed.topics
        read = [topic for stage in ("filter", "route", "call", "reply") for topic in topics.sources_of(stage)]
        async with AIOKafkaProducer(bootstrap_servers=testbed.cluster.bootstrap_servers) as producer:
            for topic in (*read, topics.attempts, topics.feedback, topics.health):
                for value in (b"\x00\x00\x00\x00\x01poison", b"\x00\x00", b"\xff\xfe not UTF-8"):
                    written = await producer.send_and_wait(topic.name, value, key=b"poison")
                    testbed.poison.add((written.topic, written.partition, written.offset))


async def _choose_broker(testbed: Testbed, which: str) -> int:
    match which:
        case "leader":
            return await testbed.cluster.leader(testbed.topics.outcomes.name)
        case "controller":
            return testbed.cluster.controller()
        case _:
            return testbed.random.choice(NODES)


async def _restart_broker(testbed: Testbed, node: int) -> None:
    await testbed.cluster.stop_one(node)
    await testbed.cluster.start_one(node)
    await testbed.cluster.wait_until_in_sync()


FAULTS: Mapping[str, Fault] = {
    **{f"kill-{stage}": SignalProcess(stage, signal.SIGKILL) for stage in STAGES},
    **{f"term-{stage}": SignalProcess(stage, signal.SIGTERM) for stage in STAGES},
    **{f"pause-{stage}": PauseProcess(stage) for stage in ("filter", "call", "reply")},
    "kill-broker": KillBroker("any"),
    "kill-leader": KillBroker("leader"),
    "kill-controller": KillBroker("controller"),
    "term-broker": RestartBroker(),
    "pause-broker": PauseBroker(),
    "rolling-restart": RollingRestart(),
    "audit-away": StopProcess("audit", 30.0),
    "disk-full": FillDisk(),
    "provider-down": DegradeProvider("down"),
    "provider-slow": DegradeProvider("slow"),
    "provider-limiting": DegradeProvider("limiting"),
    "provider-failing": DegradeProvider("failing"),
    "provider-hanging": DegradeProvider("hanging"),
    "provider-cutting": DegradeProvider("cutting"),
    "hang-ups": Disconnects(),
    "clock-skew": SkewClocks({"ingress-1": 20.0, "filter-1": -20.0, "call-1": 30.0, "reply-1": -30.0}),
    "poison": UndecodableRecords(),
    "hot-tenant": HotTenant(),
}
"""All faults, in the order of a run without a seed."""
