from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence

import pytest
import structlog.testing

from schemas.kafka.records import ConsumerRecord
from streams.pipeline.stage import SinkStage
from streams.runtime import sink_runner as buffer
from streams.runtime.lane_queue import Delivered
from streams.runtime.offset_tracker import OffsetTracker
from streams.runtime.sink_runner import SinkRunner
from tests.eventually import eventually


class Store(SinkStage):
    """Keeps what it is given, unless it was told to fail or to wait."""

    name = "audit"

    def __init__(self) -> None:
        self.offered: list[list[int]] = []
        self.kept: list[int] = []
        self.fails = 0
        self.open = asyncio.Event()
        self.open.set()

    async def write_batch(self, records: Sequence[ConsumerRecord]) -> None:
        self.offered.append([record.offset for record in records])
        await self.open.wait()
        if self.fails:
            self.fails -= 1
            raise RuntimeError("somebody's text")
        self.kept += [record.offset for record in records]

    async def close(self) -> None:
        """Nothing to let go of."""


class Rig:
    """A buffer over a store, with what was finished, in order."""

    def __init__(self) -> None:
        self.store = Store()
        self.tracker = OffsetTracker()
        self.finished: list[int] = []
        self.buffer = SinkRunner(self.store, self._finish)

    def _finish(self, batch: list[Delivered]) -> None:
        assert {record.offset for record, delivery in batch if not delivery.is_revoked} <= set(self.store.kept)
        self.finished += [record.offset for record, _ in batch]

    def delivered(self, *offsets: int, size: int = 1) -> list[Delivered]:
        return [
            (ConsumerRecord("t", 0, offset, 0, None, b"x" * size, ()), self.tracker.deliver("t0", offset))
            for offset in offsets
        ]


async def close(filled: SinkRunner, within_s: float) -> None:
    """As a stopping worker does."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(filled.drain(), within_s)
    await filled.close()


@pytest.fixture
async def rig(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Rig]:
    monkeypatch.setattr(buffer, "RETRY_BACKOFF_S", (0.01, 0.02))
    monkeypatch.setattr(buffer, "MAX_DELAY_S", 60.0)
    made = Rig()
    yield made
    made.store.open.set()
    await close(made.buffer, 1)


async def test_so_many_rows_are_worth_an_insert(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 3)

    await rig.buffer.take(rig.delivered(1, 2))
    await rig.buffer.take(rig.delivered(3))

    await eventually(lambda: rig.finished == [1, 2, 3])
    assert rig.store.offered == [[1, 2, 3]]


async def test_so_many_bytes_are_worth_an_insert(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MAX_BYTES", 100)

    await rig.buffer.take(rig.delivered(1, size=99))
    await rig.buffer.take(rig.delivered(2, size=1))

    await eventually(lambda: rig.store.offered == [[1, 2]])


async def test_a_batch_that_is_old_enough_is_stored_though_it_is_small(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "MAX_DELAY_S", 0.05)

    await rig.buffer.take(rig.delivered(1))

    await eventually(lambda: rig.finished == [1])


async def test_a_batch_ages_while_the_one_before_is_stored(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 1)
    rig.store.open.clear()
    await rig.buffer.take(rig.delivered(0))
    await eventually(lambda: rig.store.offered)
    monkeypatch.setattr(buffer, "MAX_ROWS", 10)
    monkeypatch.setattr(buffer, "MAX_DELAY_S", 1.0)
    await rig.buffer.take(rig.delivered(1))
    await asyncio.sleep(1.0)

    rig.store.open.set()

    await eventually(lambda: rig.store.offered == [[0], [1]], within=0.5)


async def test_a_store_that_fails_is_offered_the_very_same_batch_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 2)
    rig.store.fails = 4

    await rig.buffer.take(rig.delivered(1, 2))
    await rig.buffer.take(rig.delivered(3))

    await eventually(lambda: rig.finished == [1, 2])
    assert rig.store.offered == [[1, 2]] * 5


async def test_a_failing_store_is_logged_without_anybodys_text(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 1)
    rig.store.fails = 1

    with structlog.testing.capture_logs() as lines:
        await rig.buffer.take(rig.delivered(1))
        await eventually(lambda: rig.finished == [1])

    (line,) = lines
    assert (line["event"], line["rows"], line["error"]) == ("store failed", 1, "RuntimeError")
    assert "somebody's text" not in str(line)


async def test_nothing_is_finished_before_it_is_stored(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 1)
    rig.store.open.clear()

    await rig.buffer.take(rig.delivered(1))
    await eventually(lambda: rig.store.offered == [[1]])

    assert rig.finished == []
    rig.store.open.set()
    await eventually(lambda: rig.finished == [1])


async def test_a_full_batch_behind_a_slow_store_makes_the_reader_wait(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 2)
    rig.store.open.clear()
    await rig.buffer.take(rig.delivered(1, 2))
    await eventually(lambda: rig.store.offered == [[1, 2]])

    waiting = asyncio.create_task(rig.buffer.take(rig.delivered(3, 4)))
    done, _ = await asyncio.wait([waiting], timeout=0.1)

    assert not done
    rig.store.open.set()
    await asyncio.wait_for(waiting, 5)
    await eventually(lambda: rig.finished == [1, 2, 3, 4])


async def test_a_batch_whose_partitions_all_went_to_others_is_given_up(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 1)
    rig.store.fails = 1_000_000
    await rig.buffer.take(rig.delivered(1))
    await eventually(lambda: rig.store.offered)

    rig.tracker.revoke(["t0"])

    await eventually(lambda: rig.finished == [1])
    assert rig.store.kept == []


async def test_closing_stores_what_is_there(rig: Rig) -> None:
    await rig.buffer.take(rig.delivered(1, 2, 3))

    await close(rig.buffer, 5)

    assert rig.finished == [1, 2, 3]


async def test_closing_takes_no_longer_than_it_may_and_finishes_nothing_that_is_not_stored(rig: Rig) -> None:
    rig.store.open.clear()
    await rig.buffer.take(rig.delivered(1))

    await asyncio.wait_for(close(rig.buffer, 0.1), 2)

    assert rig.finished == []


async def test_a_reader_that_waits_for_room_is_let_go_when_it_closes(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffer, "MAX_ROWS", 1)
    rig.store.open.clear()
    await rig.buffer.take(rig.delivered(1))
    await eventually(lambda: rig.store.offered)
    waiting = asyncio.create_task(rig.buffer.take(rig.delivered(2)))

    await close(rig.buffer, 0.1)

    await asyncio.wait_for(waiting, 1)


async def test_a_buffer_that_never_had_anything_closes_at_once(rig: Rig) -> None:
    await asyncio.wait_for(close(rig.buffer, 5), 1)

    assert rig.store.offered == []
