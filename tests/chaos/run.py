"""One chaos run: start the testbed and the load, inject one fault after another, stop, and check the ledger."""

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
from tests.chaos.callers import REPLIES
from tests.chaos.cluster import KafkaCluster, free_ports
from tests.chaos.disk import Disk
from tests.chaos.faults import FAULTS
from tests.chaos.gateway import ChaosGateway
from tests.chaos.load import OpenLoopLoad
from tests.chaos.mock_provider import MockProvider
from tests.chaos.testbed import Testbed
from tests.chaos.verification import evidence
from tests.chaos.verification.ledger import Evidence, Ledger, draw_up
from tests.chaos.verification.recovery import FaultTimes, Recovery, measure_recovery
from tests.eventually import eventually

CALM_S = 6.0
"""Time of load without a fault, before the first one and after each one."""
STORED_WITHIN_S = 180.0
Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Result:
    """Result of a run."""

    ledger: Ledger
    recoveries: Sequence[Recovery]
    seconds: float
    rate: float
    seed: int


async def run(
    folder: Path, faults: Iterable[str], *, rate: float, seed: int, progress: Progress, calm_s: float = CALM_S
) -> Result:
    """Run the faults and return the checked ledger. ``folder`` keeps the log of every process."""
    patches.apply()
    started = time.monotonic()
    async with _testbed(folder, rate, seed, progress) as testbed:
        await testbed.load.start()
        await asyncio.sleep(calm_s)
        times = [await _inject(testbed, name, calm_s, progress) for name in faults]
        progress("no new requests; waiting for those in progress")
        await testbed.load.stop()
        progress("waiting for the last rows")
        found = await _collect_evidence(testbed)
        ends = [*(later.started for later in times[1:]), time.time()]
        recoveries = [measure_recovery(fault, end, found.requests) for fault, end in zip(times, ends, strict=True)]
        return Result(draw_up(found), recoveries, time.monotonic() - started, rate, seed)


@contextlib.asynccontextmanager
async def _testbed(folder: Path, rate: float, seed: int, progress: Progress) -> AsyncIterator[Testbed]:
    async with contextlib.AsyncExitStack() as stack:
        progress("starting three brokers")
        cluster = KafkaCluster(folder)
        stack.push_async_callback(cluster.stop)
        await cluster.start()
        provider = MockProvider(free_ports(1)[0], seed)
        stack.push_async_callback(provider.stop)
        await provider.start()
        gateway = ChaosGateway(folder, cluster.bootstrap_servers, provider.base_url)
        topics = configuration.load(gateway.config, {}).topics
        await ensure_topics(cluster.bootstrap_servers, [REPLIES], 3)
        disk = Disk(gateway.state)
        disk.mount()
        stack.callback(disk.unmount)
        progress("starting two workers of each stage, two ingresses, audit")
        stack.push_async_callback(gateway.stop)
        await gateway.start()
        load = OpenLoopLoad(gateway.ingress_urls, cluster.bootstrap_servers, rate, seed)
        stack.push_async_callback(load.close)
        yield Testbed(cluster, gateway, disk, provider, load, topics, random.Random(seed))
        progress("stopping")


async def _inject(testbed: Testbed, name: str, calm_s: float, progress: Progress) -> FaultTimes:
    """Inject a fault, wait until the gateway is ready again, and then for a time without a fault."""
    started = time.time()
    await FAULTS[name].inject(testbed)
    ended = time.time()
    stored = asyncio.create_task(_wait_until_stored(testbed, ended))
    await testbed.gateway.wait_until_ready()
    await asyncio.sleep(calm_s)
    times = FaultTimes(name, started, ended, await stored)
    first = measure_recovery(times, time.time(), testbed.load.requests).first_s
    recovered = "no answer yet" if first is None else f"first answer after {first:.1f} s"
    progress(f"{name}: {recovered}; {len(testbed.load.requests)} requests so far")
    return times


async def _wait_until_stored(testbed: Testbed, moment: float) -> float | None:
    """Return when a request sent after this moment was first seen in ClickHouse, or None."""

    def is_stored() -> bool:
        names = ", ".join(f"'{request.request_id}'" for request in testbed.load.replied_since(moment)[:50])
        sql = f"SELECT count() FROM requests_log WHERE request_id IN ({names})"
        with contextlib.suppress(OSError, http.client.HTTPException):
            return bool(names) and evidence.count(testbed.gateway.clickhouse, sql) > 0
        return False

    try:
        await eventually(lambda: asyncio.to_thread(is_stored), within=STORED_WITHIN_S, every=0.3)
    except AssertionError:
        return None
    return time.time()


async def _collect_evidence(testbed: Testbed) -> Evidence:
    """Collect the evidence once ClickHouse has a row for every record, or after ``STORED_WITHIN_S``."""
    bootstrap, clickhouse = testbed.cluster.bootstrap_servers, testbed.gateway.clickhouse
    log = await evidence.read_log(bootstrap, testbed.topics, REPLIES)

    async def is_all_stored() -> bool:
        nonlocal log
        log = await evidence.read_log(bootstrap, testbed.topics, REPLIES)
        return await asyncio.to_thread(evidence.count, clickhouse, "SELECT count() FROM events") >= len(log.sizes)

    with contextlib.suppress(AssertionError):  # the ledger names what is missing
        await eventually(is_all_stored, within=STORED_WITHIN_S, every=2.0)
    rows = await asyncio.to_thread(evidence.read_rows, clickhouse)
    return Evidence(testbed.load.requests, log, rows, testbed.provider.calls, frozenset(testbed.poison))
