"""Positions of the consumer around a rebalance. Its work on a real broker is tested in tests/flow/test_worker.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.transport.drivers import aiokafka as stock
from faust.types import TP

from streams.runtime import driver

PARTITION = TP("llm.routed.v1", 0)


def assignment(position: int) -> Any:
    state = SimpleNamespace(has_valid_position=True, _position=position)
    return SimpleNamespace(tps={PARTITION}, state_value=lambda _: state)


class Client:
    """aiokafka's consumer, whose assignment the test sets."""

    def __init__(self, assigned: Any) -> None:
        self._subscription = SimpleNamespace(subscription=SimpleNamespace(assignment=assigned))

    def assign(self, assigned: Any) -> None:
        self._subscription.subscription.assignment = assigned


@pytest.fixture
def client() -> Client:
    return Client(assignment(position=110))


@pytest.fixture
def consumer(client: Client, monkeypatch: pytest.MonkeyPatch) -> driver.Consumer:
    async def ignore(*_: object) -> None: ...

    monkeypatch.setattr(stock.Consumer, "on_partitions_revoked", ignore)
    monkeypatch.setattr(stock.Consumer, "on_partitions_assigned", ignore)
    app = driver.App("llm.call", broker=f"{driver.SCHEME}://nowhere:1", **driver.SETTINGS)
    app.kafka = "nowhere:1"
    app.finalize()
    consumer = cast("driver.Consumer", app.consumer)
    monkeypatch.setattr(consumer._thread, "_ensure_consumer", lambda: client)
    return consumer


def position(consumer: driver.Consumer) -> int | None:
    """Return the position that the next commit would have."""
    list(consumer._filter_tps_with_pending_acks())
    return consumer.tracker.position(PARTITION)


async def test_partition_without_records_has_the_position_of_the_client(consumer: driver.Consumer) -> None:
    consumer._note_positions({PARTITION})

    assert position(consumer) == 110


async def test_fetch_that_ends_during_a_rebalance_commits_nothing(consumer: driver.Consumer) -> None:
    await consumer.on_partitions_revoked({PARTITION})  # records before 110 are in flight

    consumer._note_positions({PARTITION})

    assert position(consumer) is None


async def test_partition_that_comes_back_starts_at_its_committed_offset(
    consumer: driver.Consumer, client: Client
) -> None:
    await consumer.on_partitions_revoked({PARTITION})
    consumer.tracker.deliver(PARTITION, 100)  # a batch of before, delivered late
    client.assign(assignment(position=90))
    await consumer.on_partitions_assigned({PARTITION})

    consumer.tracker.deliver(PARTITION, 90)

    assert position(consumer) == 90
