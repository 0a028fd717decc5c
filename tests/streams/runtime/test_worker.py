"""Worker without a broker. Its work on a real broker is tested in tests/flow/test_worker.py."""

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
    """Call stage that never finishes a record."""

    name = "call"

    async def process(self, _record: ConsumerRecord, _emit: Emit) -> Sequence[ProducerRecord]:
        await asyncio.Event().wait()
        return []

    async def on_partition_assigned(self, _partition: int, _since_ms: int) -> None: ...

    def on_partition_revoked(self, _partition: int) -> None: ...

    async def close(self) -> None: ...


class Stream:
    """Faust stream of one batch with one record."""

    def noack(self) -> Self:
        return self

    async def events(self) -> AsyncIterator[Any]:
        yield SimpleNamespace(
            value=[ConsumerRecord("t", 0, 7, 1, b"", b"", ())], message=SimpleNamespace(tp=TP("t", 0))
        )


async def test_worker_before_start_has_no_partitions() -> None:
    worker = Worker(Endless(), Topics(), "127.0.0.1:1")

    assert (worker.assigned, worker.in_flight, worker.is_healthy) == (0, 0, True)


async def test_time_without_work_does_not_make_a_worker_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=lambda: now))
    monkeypatch.setattr(module, "DRAIN_TIMEOUT_S", 0.05)
    worker = Worker(Endless(), Topics(), "127.0.0.1:1")

    now += 10 * STALL_TIMEOUT_S  # no record came
    await worker._consume(cast("Any", Stream()))
    assert worker.in_flight == 1
    assert worker.is_healthy

    now += MAX_CALL_S  # a call may take this long
    assert worker.is_healthy

    now += STALL_TIMEOUT_S + 1  # the record is not finished
    assert not worker.is_healthy
    await worker.stop()
