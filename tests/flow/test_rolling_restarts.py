"""Rolling restarts with and without static membership: number of rebalances and of repeated deliveries.

docs/reliability.md has the figures. They are counts, so that they do not depend on the speed of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaProducer

from connectors.kafka import ensure_topics
from connectors.kafka.embedded.broker import EmbeddedBroker
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import Topics
from streams.pipeline.stage import AsyncStage, Emit, TransformStage
from streams.runtime.worker import Worker, WorkerConfig
from tests.eventually import eventually

pytestmark = pytest.mark.flow

CALL_S = 0.5
EVERY_S = 0.01


@dataclass
class Fleet:
    """Workers of the call stage, and the records that were delivered to them."""

    topics: Topics
    broker: EmbeddedBroker
    static: bool
    deliveries: Counter[bytes] = field(default_factory=Counter)
    calls: list[Calls] = field(default_factory=list)
    workers: dict[str, Worker] = field(default_factory=dict)

    async def start(self, name: str) -> None:
        calls = Calls(self.deliveries, self.topics)
        instance_id = name if self.static else ""
        worker = Worker(calls, self.topics, self.broker.bootstrap_servers, WorkerConfig(instance_id=instance_id))
        self.calls.append(calls)
        self.workers[name] = worker
        await worker.start()

    async def settled(self) -> None:
        """Wait until every worker has its share of the partitions."""
        share = sum(topic.partitions for topic in self.topics.sources_of("call")) // 2
        await eventually(lambda: {worker.assigned for worker in self.workers.values()} == {share}, within=60)

    async def restart(self, name: str) -> None:
        await self.workers[name].stop()
        await self.start(name)
        await self.settled()

    @property
    def generation(self) -> int:
        """Return the group's generation, which Kafka increments at each rebalance."""
        return max(worker._app.consumer_generation_id for worker in self.workers.values())

    @property
    def revocations(self) -> int:
        return sum(calls.revocations for calls in self.calls)


class Calls(AsyncStage):
    """Call stage with slow calls."""

    name = "call"

    def __init__(self, deliveries: Counter[bytes], topics: Topics) -> None:
        self._deliveries = deliveries
        self._outcomes = topics.outcomes.name
        self.revocations = 0

    async def process(self, record: ConsumerRecord, _emit: Emit) -> Sequence[ProducerRecord]:
        assert record.value is not None
        self._deliveries[record.value] += 1
        await asyncio.sleep(CALL_S)
        return [ProducerRecord(self._outcomes, record.key, record.value)]

    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:
        pass

    def on_partition_revoked(self, _partition: int) -> None:
        self.revocations += 1

    async def close(self) -> None:
        pass


@contextlib.asynccontextmanager
async def load(fleet: Fleet) -> AsyncIterator[list[bytes]]:
    """Write records at an interval during the block, then wait until all are delivered."""
    sent: list[bytes] = []

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=fleet.broker.bootstrap_servers) as producer:
            while True:
                value = b"%d" % len(sent)
                await producer.send_and_wait(fleet.topics.routed.name, value, key=value)
                sent.append(value)
                await asyncio.sleep(EVERY_S)

    sending = asyncio.create_task(send())
    try:
        await eventually(lambda: len(fleet.deliveries) > 50, within=60)
        yield sent
    finally:
        sending.cancel()
        await asyncio.wait([sending])
    await eventually(lambda: fleet.deliveries.keys() >= set(sent), within=60)


async def rolling_restart(topics: Topics, broker: EmbeddedBroker, *, static: bool) -> tuple[int, int, int]:
    """Return the number of rebalances, of repeated deliveries, and of records."""
    fleet = Fleet(topics, broker, static)
    try:
        for name in ("a", "b"):
            await fleet.start(name)
        await fleet.settled()
        before = fleet.generation
        async with load(fleet) as sent:
            for name in ("a", "b"):
                await fleet.restart(name)
        rebalances = fleet.generation - before
    finally:
        await asyncio.gather(*(worker.stop() for worker in fleet.workers.values()))
    again = fleet.deliveries.total() - len(fleet.deliveries)
    print(f"{static=}: {rebalances} rebalances, {again} of {len(sent)} again, {fleet.revocations} revoked")  # noqa: T201
    return rebalances, again, len(sent)


async def test_restarts_of_dynamic_members_rebalance_and_redeliver(broker: EmbeddedBroker, topics: Topics) -> None:
    rebalances, again, _ = await rolling_restart(topics, broker, static=False)

    assert rebalances >= 2  # one when a member leaves, one when it joins again
    assert again > 0


async def test_rolling_restart_of_static_members_neither_rebalances_nor_redelivers(
    broker: EmbeddedBroker, topics: Topics
) -> None:
    rebalances, again, _ = await rolling_restart(topics, broker, static=True)

    assert (rebalances, again) == (0, 0)


class Silent(TransformStage):
    """Stage without outputs."""

    name = "filter"

    def process(self, _record: ConsumerRecord) -> Sequence[ProducerRecord]:
        return []


async def test_static_member_with_another_topic_gets_its_partitions(broker: EmbeddedBroker, topics: Topics) -> None:
    more = Topics(topics.prefix, tenants=("shop",))
    await ensure_topics(broker.bootstrap_servers, more.all, 1)

    for read in (topics, more):
        worker = Worker(Silent(), read, broker.bootstrap_servers, WorkerConfig(instance_id="up"))
        await worker.start()
        try:
            await has(worker, sum(topic.partitions for topic in read.sources_of("filter")))
        finally:
            await worker.stop()


async def has(worker: Worker, partitions: int) -> None:
    await eventually(lambda: worker.assigned == partitions, within=60)
