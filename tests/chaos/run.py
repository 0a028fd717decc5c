"""One run: all is started, faults happen one after the other under load, all ends, and the ledger is drawn up."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import random
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from connectors.kafka import ensure_topics, patches
from streams.config import loader as configuration
from tests.chaos import evidence
from tests.chaos.callers import REPLIES
from tests.chaos.cluster import Cluster, free_ports
from tests.chaos.disk import Disk
from tests.chaos.double import ProviderDouble
from tests.chaos.faults import FAULTS
from tests.chaos.gateway import Gateway
from tests.chaos.ledger import Evidence, Ledger, drawn_up
from tests.chaos.load import Load
from tests.chaos.recovery import Mark, Recovery, recovery
from tests.chaos.scene import Scene
from tests.eventually import eventually

CALM_S = 6.0
"""Of load alone, before the first fault and after each one that has healed."""
STORED_WITHIN_S = 180.0
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """A whole run."""

    ledger: Ledger
    recoveries: Sequence[Recovery]
    seconds: float
    rate: float
    seed: int


async def run(
    folder: Path, faults: Iterable[str], *, rate: float, seed: int, say: Say, calm_s: float = CALM_S
) -> Result:
    """Start, let the faults happen, end, and draw up the ledger; `folder` keeps every process's log."""
    patches.apply()
    started = time.monotonic()
    async with _scene(folder, rate, seed, say) as scene:
        await scene.load.start()
        await asyncio.sleep(calm_s)
        marks = [await _lived_through(scene, name, calm_s, say) for name in faults]
        say("no more requests; waiting for those under way")
        await scene.load.stop()
        say("waiting for the last rows")
        found = await _gathered(scene)
        ends = [*(mark.struck for mark in marks[1:]), time.time()]
        recoveries = [recovery(mark, end, found.asks) for mark, end in zip(marks, ends, strict=True)]
        return Result(drawn_up(found), recoveries, time.monotonic() - started, rate, seed)


@contextlib.asynccontextmanager
async def _scene(folder: Path, rate: float, seed: int, say: Say) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        say("starting three brokers")
        cluster = Cluster(folder)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        provider = ProviderDouble(free_ports(1)[0], seed)
        stack.push_async_callback(provider.stop)
        await provider.start()
        gateway = Gateway(folder, cluster.bootstrap_servers, provider.base_url)
        topics = configuration.load(gateway.config, {}).topics
        await ensure_topics(cluster.bootstrap_servers, [REPLIES], 3)
        disk = Disk(gateway.state)
        disk.mount()
        stack.callback(disk.unmount)
        say("starting two of each stage, two ingresses, audit")
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        load = Load(gateway.doors, cluster.bootstrap_servers, rate, seed)
        stack.push_async_callback(load.close)
        yield Scene(cluster, gateway, disk, provider, load, topics, random.Random(seed))
        say("stopping")


async def _lived_through(scene: Scene, name: str, calm_s: float, say: Say) -> Mark:
    """Let a fault happen, wait until the gateway is whole again, and leave it a while of calm."""
    struck = time.time()
    await FAULTS[name].happen(scene)
    healed = time.time()
    stored = asyncio.create_task(_stored_since(scene, healed))
    await scene.gateway.until_ready()
    await asyncio.sleep(calm_s)
    mark = Mark(name, struck, healed, await stored)
    first = recovery(mark, time.time(), scene.load.asks).first_s
    told = "no answer yet" if first is None else f"first answer after {first:.1f} s"
    say(f"{name}: {told}; {len(scene.load.asks)} requests so far")
    return mark


async def _stored_since(scene: Scene, moment: float) -> float | None:
    """When a request that came after this moment was first seen in ClickHouse."""

    def seen() -> bool:
        names = ", ".join(f"'{ask.request_id}'" for ask in scene.load.settled_since(moment)[:50])
        sql = f"SELECT count() FROM requests_log WHERE request_id IN ({names})"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(names) and evidence.count(scene.gateway.clickhouse, sql) > 0
        return False

    try:
        await eventually(lambda: asyncio.to_thread(seen), within=STORED_WITHIN_S, every=0.3)
    except AssertionError:
        return None
    return time.time()


async def _gathered(scene: Scene) -> Evidence:
    """All that is on the log, once ClickHouse has as many rows or has had its time."""
    bootstrap, clickhouse = scene.cluster.bootstrap_servers, scene.gateway.clickhouse
    log = await evidence.read_log(bootstrap, scene.topics, REPLIES)

    async def stored() -> bool:
        nonlocal log
        log = await evidence.read_log(bootstrap, scene.topics, REPLIES)
        return await asyncio.to_thread(evidence.count, clickhouse, "SELECT count() FROM events") >= len(log.sizes)

    with contextlib.suppress(AssertionError):  # the ledger names what is missing
        await eventually(stored, within=STORED_WITHIN_S, every=2.0)
    rows = await asyncio.to_thread(evidence.read_rows, clickhouse)
    return Evidence(scene.load.asks, log, rows, scene.provider.calls, frozenset(scene.poison))
