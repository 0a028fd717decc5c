"""What a worker says of itself, without a broker: the rest is in tests/flow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from types import SimpleNamespace
from typing import Any, Self, cast

import pytest
from faust.types import TP

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.topics import Topics
from streams.pipeline.stage import AsyncStage, Emit
from streams.runtime import worker as module
from streams.runtime.worker import MAX_CALL_S, STALL_TIMEOUT_S, Worker


class Endless(AsyncStage):
    """A call stage whose work never ends by itself."""

    name = "call"

    async def process(self, _record: ConsumerRecord, _emit: Emit) -> Sequence[ProducerRecord]:
        await asyncio.Event().wait()
        return []

    async def on_partition_assigned(self, _partition: int, _since_ms: int) -> None: ...

    def on_partition_revoked(self, _partition: int) -> None: ...

    async def close(self) -> None: ...


class Stream:
    """One batch of one record, as Faust hands it over."""

    def noack(self) -> Self:
        return self

    async def events(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(
            value=[ConsumerRecord("t", 0, 7, 1, b"", b"", ())], message=SimpleNamespace(tp=TP("t", 0))
        )


async def test_a_worker_that_has_not_started_has_no_partitions() -> None:
    worker = Worker(Endless(), Topics(), "127.0.0.1:1")

    assert (worker.assigned, worker.in_flight, worker.is_healthy) == (0, 0, True)


async def test_time_without_work_does_not_make_a_worker_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "DRAIN_TIMEOUT_S", 0.05)
    worker = Worker(Endless(), Topics(), "127.0.0.1:1")

    now += 10 * STALL_TIMEOUT_S  # nobody asked anything
    await worker._consume(cast("Any", Stream()))
    assert worker.in_flight == 1
    assert worker.is_healthy

    now += MAX_CALL_S  # a call may take so long
    assert worker.is_healthy

    now += STALL_TIMEOUT_S + 1  # and this one does not end
    assert not worker.is_healthy
    await worker.stop()
