from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
import structlog.testing

from schemas.kafka.records import ConsumerRecord
from streams.pipeline.stage import SinkStage
from streams.runtime import sink_runner
from streams.runtime.offset_tracker import Delivered, OffsetTracker
from streams.runtime.sink_runner import SinkRunner
from tests.eventually import eventually


class Store(SinkStage):
    """Keeps the records it is given, unless a test makes it fail or block."""

    name = "audit"

    def __init__(self) -> None:
        self.received: list[list[int]] = []
        self.kept: list[int] = []
        self.fails = 0
        self.open = asyncio.Event()
        self.open.set()

    async def write_batch(self, records: Sequence[ConsumerRecord]) -> None:
        self.received.append([record.offset for record in records])
        await self.open.wait()
        if self.fails:
            self.fails -= 1
            raise RuntimeError("a caller's text")
        self.kept += [record.offset for record in records]

    async def close(self) -> None:
        """Do nothing."""


class Rig:
    """A runner with its store, and the finished offsets in order."""

    def __init__(self) -> None:
        self.store = Store()
        self.tracker = OffsetTracker()
        self.finished: list[int] = []
        self.runner = SinkRunner(self.store, self._finish)

    def _finish(self, batch: list[Delivered]) -> None:
        assert {record.offset for record, delivery in batch if not delivery.is_revoked} <= set(self.store.kept)
        self.finished += [record.offset for record, _ in batch]

    def delivered(self, *offsets: int, size: int = 1) -> list[Delivered]:
        return [
            (ConsumerRecord("t", 0, offset, 0, None, b"x" * size, ()), self.tracker.deliver("t0", offset))
            for offset in offsets
        ]


async def close(runner: SinkRunner, within_s: float) -> None:
    """Drain and close, as a stopping worker does."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(runner.drain(), within_s)
    await runner.close()


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(sink_runner, "RETRY_BACKOFF_S", (0.01, 0.02))
    monkeypatch.setattr(sink_runner, "MAX_DELAY_S", 60.0)
    made = Rig()
    yield made
    made.store.open.set()
    await close(made.runner, 1)


async def test_batch_is_written_at_its_maximum_of_rows(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 3)

    await rig.runner.take(rig.delivered(1, 2))
    await rig.runner.take(rig.delivered(3))

    await eventually(lambda: rig.finished == [1, 2, 3])
    assert rig.store.received == [[1, 2, 3]]


async def test_batch_is_written_at_its_maximum_of_bytes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_BYTES", 100)

    await rig.runner.take(rig.delivered(1, size=99))
    await rig.runner.take(rig.delivered(2, size=1))

    await eventually(lambda: rig.store.received == [[1, 2]])


async def test_small_batch_is_written_at_its_maximum_age(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_DELAY_S", 0.05)

    await rig.runner.take(rig.delivered(1))

    await eventually(lambda: rig.finished == [1])


async def test_batch_ages_while_the_one_before_is_written(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 1)
    rig.store.open.clear()
    await rig.runner.take(rig.delivered(0))
    await eventually(lambda: rig.store.received)
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 10)
    monkeypatch.setattr(sink_runner, "MAX_DELAY_S", 1.0)
    await rig.runner.take(rig.delivered(1))
    await asyncio.sleep(1.0)

    rig.store.open.set()

    await eventually(lambda: rig.store.received == [[0], [1]], within=0.5)


async def test_failed_batch_is_written_again_unchanged(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 2)
    rig.store.fails = 4

    await rig.runner.take(rig.delivered(1, 2))
    await rig.runner.take(rig.delivered(3))

    await eventually(lambda: rig.finished == [1, 2])
    assert rig.store.received == [[1, 2]] * 5


async def test_failing_store_is_logged_without_its_message(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 1)
    rig.store.fails = 1

    with structlog.testing.capture_logs() as lines:
        await rig.runner.take(rig.delivered(1))
        await eventually(lambda: rig.finished == [1])

    (line,) = lines
    assert (line["event"], line["rows"], line["error"]) == ("store.write_failed", 1, "RuntimeError")
    assert "a caller's text" not in str(line)


async def test_records_are_finished_after_they_are_stored(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 1)
    rig.store.open.clear()

    await rig.runner.take(rig.delivered(1))
    await eventually(lambda: rig.store.received == [[1]])

    assert rig.finished == []
    rig.store.open.set()
    await eventually(lambda: rig.finished == [1])


async def test_take_blocks_on_a_full_batch_behind_a_slow_store(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 2)
    rig.store.open.clear()
    await rig.runner.take(rig.delivered(1, 2))
    await eventually(lambda: rig.store.received == [[1, 2]])

    waiting = asyncio.create_task(rig.runner.take(rig.delivered(3, 4)))
    done, _ = await asyncio.wait([waiting], timeout=0.1)

    assert not done
    rig.store.open.set()
    await asyncio.wait_for(waiting, 5)
    await eventually(lambda: rig.finished == [1, 2, 3, 4])


async def test_batch_of_revoked_partitions_is_given_up(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 1)
    rig.store.fails = 1_000_000
    await rig.runner.take(rig.delivered(1))
    await eventually(lambda: rig.store.received)

    rig.tracker.revoke(["t0"])

    await eventually(lambda: rig.finished == [1])
    assert rig.store.kept == []


async def test_drain_writes_collected_records(rig: Rig) -> None:
    await rig.runner.take(rig.delivered(1, 2, 3))

    await close(rig.runner, 5)

    assert rig.finished == [1, 2, 3]


async def test_close_does_not_wait_for_a_slow_store_and_finishes_nothing(rig: Rig) -> None:
    rig.store.open.clear()
    await rig.runner.take(rig.delivered(1))

    await asyncio.wait_for(close(rig.runner, 0.1), 2)

    assert rig.finished == []


async def test_close_releases_a_blocked_take(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sink_runner, "MAX_ROWS", 1)
    rig.store.open.clear()
    await rig.runner.take(rig.delivered(1))
    await eventually(lambda: rig.store.received)
    waiting = asyncio.create_task(rig.runner.take(rig.delivered(2)))

    await close(rig.runner, 0.1)

    await asyncio.wait_for(waiting, 1)


async def test_unused_runner_closes_at_once(rig: Rig) -> None:
    await asyncio.wait_for(close(rig.runner, 5), 1)

    assert rig.store.received == []
