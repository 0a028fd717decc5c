"""The consumer: batches in, the tracker's positions out, and nothing handed from thread to thread."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any, cast

import aiokafka
import structlog
from aiokafka import TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from faust.types.tuples import ConsumerMessage

from connectors.kafka.connection import client_settings
from schemas.kafka.records import ConsumerRecord
from streams.runtime.driver.app import App
from streams.runtime.driver.fetch_interval import FetchInterval
from streams.runtime.offset_tracker import OffsetTracker

_CREATE_TIME = 0
"""Kafka's number for a timestamp of the record's writer, which nobody asks Faust for."""
CONFIRM_INTERVAL_S = 0.2
"""Between two questions whether the group still knows us."""

log = structlog.get_logger()


class Batch:
    """The records of one partition that one fetch brought, dressed as one record: its offset is the last one's."""

    __slots__ = ("offset", "records")

    def __init__(self, records: list[ConsumerRecord]) -> None:
        self.records = records
        self.offset = records[-1].offset


class InLoopConsumerThread(stock.AIOKafkaConsumerThread):
    """What Faust calls the consumer's thread, here on the app's own loop: no stage blocks it."""

    def __init__(self, consumer: Consumer, **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **kwargs)

    async def start(self) -> None:
        """Serve in a task where stock Faust starts a thread."""
        self._thread_started.set()
        self._thread_running = self.parent_loop.create_future()
        self._serving = asyncio.ensure_future(self._serve())
        await self._thread_running

    async def _gather_remaining_tasks(self) -> None:
        """The loop is everybody's: its other tasks are not ours to cancel."""

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call it; it may be no coroutine."""
        called = fun(*args, **kwargs)
        return await called if inspect.isawaitable(called) else called

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        for name, value in client_settings(cast("App", self.app).kafka).items():
            setattr(consumer._client, f"_{name}", value)  # Faust has credentials of its own, which can say less
        fetch = cast("App", self.app).fetch
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = fetch.min_bytes, fetch.max_wait_ms
        # topic by topic: one worker has the same partition of every topic, and so all that is known about its requests
        consumer._partition_assignment_strategy = [RangePartitionAssignor]
        consumer.commit = functools.partial(self._commit_with_metadata, consumer.commit)
        return consumer

    async def _commit_with_metadata(
        self, commit: Callable[[Any], Awaitable[None]], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        """Commit, and tell with each position how many records beyond it are finished: they wait for nobody."""
        tracker = cast("Consumer", self.consumer).tracker
        await commit({tp: OffsetAndMetadata(at.offset, str(tracker.completed_ahead(tp))) for tp, at in offsets.items()})

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's false alarms are off: the worker watches progress itself."""


class Consumer(stock.Consumer):
    """Batches in, the tracker's positions out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tracker = OffsetTracker()
        self._fetch_interval = FetchInterval()
        self._last_committed: dict[TP, tuple[int, int]] = {}
        """What was committed last: the position, and how many records beyond it are finished."""

    def assignment(self) -> set[TP]:
        """The partitions that this worker has: none before it has started."""
        return set() if self._thread._consumer is None else super().assignment()

    def _new_consumer_thread(self) -> InLoopConsumerThread:
        return InLoopConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Batch]]:  # noqa: ASYNC109
        await asyncio.sleep(self._fetch_interval.pause_s(time.monotonic()))
        wants = cast("App", self.app).accepts_topic
        wanted = {tp for tp in active_partitions or () if wants(tp.topic)}
        fetched = await super()._getmany(wanted, timeout) if wanted else {}
        brought = {tp: [Batch(records)] for tp, records in fetched.items() if records}
        self._fetch_interval.record_fetch(sum(len(records) for records in fetched.values()), time.monotonic())
        return brought

    def _to_message(self, tp: TP, batch: Batch) -> ConsumerMessage:
        last = batch.records[-1]
        return ConsumerMessage(
            last.topic,
            last.partition,
            last.offset,
            last.timestamp_ms / 1000,
            _CREATE_TIME,
            [],
            None,
            cast("Any", batch.records),
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def confirm_ownership(self) -> None:
        """Return when the group has taken our positions, so that all partitions that we have are ours.

        It takes none of a member that it has given up; then this waits until those partitions are revoked here too.
        """
        while held := {
            tp: position for tp in self.tracker.partitions if (position := self.tracker.position(tp)) is not None
        }:
            try:
                await self._thread._ensure_consumer().commit({tp: OffsetAndMetadata(at, "") for tp, at in held.items()})
            except (KafkaError, ConsumerStoppedError):
                await asyncio.sleep(CONFIRM_INTERVAL_S)
            else:
                return

    async def sleep(self, n: Any) -> None:
        """Give way if it is no time at all: stock Faust waits for the stop as well, which takes 7 us and not 1."""
        await (super().sleep(n) if n else asyncio.sleep(0))

    def on_buffer_full(self, tp: TP) -> None:
        """No pause: the fetch loop waits at the full queue, and goes on the moment there is room."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing was paused."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets jump by design; what is committed comes from the tracker."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ARG002 - always all of them
        return iter(self.tracker.partitions)  # type: ignore[arg-type]

    def _new_offset(self, tp: TP) -> int | None:
        return self.tracker.position(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return self._last_committed.get(tp) != (offset, self.tracker.completed_ahead(tp))

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        told = {tp: (offset, self.tracker.completed_ahead(tp)) for tp, offset in offsets.items()}
        committed = await super()._commit_offsets(offsets, start_new_transaction)
        if committed:  # else it is tried again, where stock Faust takes it for done
            self._last_committed.update(told)
        return committed

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is finished, so that the next owner repeats little, then forget the partitions."""
        if self.tracker.partitions:
            try:
                await asyncio.wait_for(self.commit(), timeout=2.0)
            except Exception as error:  # noqa: BLE001 - a commit that fails only costs repeated deliveries
                log.warning("commit before revocation failed", error=type(error).__name__)
        self.tracker.revoke(revoked)
        for tp in revoked:
            self._last_committed.pop(tp, None)
        await super().on_partitions_revoked(revoked)
