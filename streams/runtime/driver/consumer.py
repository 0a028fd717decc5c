"""Faust's consumer on the app's own event loop: it delivers batches, and commits the offset tracker's positions."""

from __future__ import annotations

import asyncio
import functools
import inspect
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
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
"""Kafka's number of the timestamp type; the gateway does not use Faust's field."""
CONFIRM_INTERVAL_S = 0.2
"""Delay between two attempts to confirm the membership."""

log = structlog.get_logger()


class Batch:
    """The records of one partition in one fetch, as one Faust record with the offset of the last one."""

    __slots__ = ("offset", "records")

    def __init__(self, records: list[ConsumerRecord]) -> None:
        self.records = records
        self.offset = records[-1].offset


class InLoopConsumerThread(stock.AIOKafkaConsumerThread):
    """Faust's consumer thread, replaced by a task on the app's own loop, which no stage blocks."""

    def __init__(self, consumer: Consumer, **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **kwargs)

    async def start(self) -> None:
        """Start a task where stock Faust starts a thread."""
        self._thread_started.set()
        self._thread_running = self.parent_loop.create_future()
        self._serving = asyncio.ensure_future(self._serve())
        await self._thread_running

    async def _gather_remaining_tasks(self) -> None:
        """Cancel nothing: the loop is shared, and has tasks of other parts."""

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a function on this loop, and await its result if necessary."""
        result = fun(*args, **kwargs)
        return await result if inspect.isawaitable(result) else result

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        for name, value in client_settings(cast("App", self.app).kafka).items():
            setattr(consumer._client, f"_{name}", value)  # Faust's own credentials support fewer mechanisms
        fetch = cast("App", self.app).fetch
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = fetch.min_bytes, fetch.max_wait_ms
        consumer._isolation_level = "read_committed"
        # range by topic: a worker has the same partition of every topic, and so all records of its requests
        consumer._partition_assignment_strategy = [RangePartitionAssignor]
        consumer.commit = functools.partial(self._commit_with_metadata, consumer.commit)
        return consumer

    async def _commit_with_metadata(
        self, commit: Callable[[Any], Awaitable[None]], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        """Commit each position, with the number of finished records after it as metadata, for the measured backlog."""
        tracker = cast("Consumer", self.consumer).tracker
        await commit({tp: OffsetAndMetadata(at.offset, str(tracker.completed_ahead(tp))) for tp, at in offsets.items()})

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Do nothing: the worker detects stalls itself, and Faust's check raises false alarms."""


class Consumer(stock.Consumer):
    """Consumer that delivers batches, and commits the offset tracker's positions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tracker = OffsetTracker()
        self._fetch_interval = FetchInterval()
        self._last_committed: dict[TP, tuple[int, int]] = {}
        """Last committed position, and number of finished records after it, by partition."""
        self._fetched: dict[TP, int] = {}
        """One past the last record of a partition that ``_getmany`` returned since the assignment."""
        self._positions: dict[TP, int] = {}
        """The offset that was read next in a partition when ``_getmany`` returned last."""
        self._revoked_assignment: Any = None
        """The assignment before a rebalance. aiokafka returns it until there is a new one."""

    def assignment(self) -> set[TP]:
        """Return the partitions of this worker; none before it has started."""
        return set() if self._thread._consumer is None else super().assignment()

    def _new_consumer_thread(self) -> InLoopConsumerThread:
        return InLoopConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Batch]]:  # noqa: ASYNC109
        await asyncio.sleep(self._fetch_interval.pause_s(time.monotonic()))
        accepts = cast("App", self.app).accepts_topic
        accepted = {tp for tp in active_partitions or () if accepts(tp.topic)}
        fetched = await super()._getmany(accepted, timeout) if accepted else {}
        self._fetch_interval.record_fetch(sum(len(records) for records in fetched.values()), time.monotonic())
        batches = {tp: [Batch(records)] for tp, records in fetched.items() if records}
        self._fetched |= {tp: batch.offset + 1 for tp, (batch,) in batches.items()}
        self._note_positions(accepted)
        return batches

    def _note_positions(self, partitions: set[TP]) -> None:
        """Note the consumer's positions, which also pass the offsets that hold no record for us."""
        assignment = self._current_assignment()
        if assignment is self._revoked_assignment:
            return  # its positions may be after records that another worker, or this one, reads again
        for tp in partitions:
            state = assignment.state_value(tp) if assignment and tp in assignment.tps else None
            if state is None or not state.has_valid_position:
                self._positions.pop(tp, None)
            else:
                self._positions[tp] = state._position

    def _current_assignment(self) -> Any:
        subscription = self._thread._ensure_consumer()._subscription.subscription
        return subscription.assignment if subscription else None

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
        """Commit all positions, and return when the group has accepted them: then all held partitions are ours.

        The group accepts no commit of a former member; then this waits until those partitions are revoked here too.
        """
        while held := {
            TopicPartition(*tp): OffsetAndMetadata(position, "")  # the client refuses Faust's own class
            for tp in cast("Iterable[TP]", self.tracker.partitions)
            if (position := self.tracker.position(tp)) is not None
        }:
            try:
                await self._thread._ensure_consumer().commit(held)
            except (KafkaError, ConsumerStoppedError):
                await asyncio.sleep(CONFIRM_INTERVAL_S)
            else:
                return

    async def sleep(self, n: Any) -> None:
        """Sleep, or only yield to the loop for 0 s: 1 us, where stock Faust takes 7 us to wait for a stop as well."""
        await (super().sleep(n) if n else asyncio.sleep(0))

    def on_buffer_full(self, tp: TP) -> None:
        """Do not pause the partition: the fetch loop blocks on the full queue, and continues when there is room."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Do nothing: no partition was paused."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Do nothing: batches skip offsets by design, and the tracker decides what is committed."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ARG002 - always all of them
        for tp, position in self._positions.items():
            self.tracker.skip(tp, self._fetched.get(tp), position)
        return iter(self.tracker.partitions)  # type: ignore[arg-type]

    def _new_offset(self, tp: TP) -> int | None:
        return self.tracker.position(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return self._last_committed.get(tp) != (offset, self.tracker.completed_ahead(tp))

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        committing = {tp: (offset, self.tracker.completed_ahead(tp)) for tp, offset in offsets.items()}
        committed = await super()._commit_offsets(offsets, start_new_transaction)
        if committed:  # otherwise it is tried again; stock Faust would treat it as done
            self._last_committed.update(committing)
        return committed

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit the positions, so that the next owner repeats few records, then forget the partitions."""
        if self.tracker.partitions:
            try:
                await asyncio.wait_for(self.commit(), timeout=2.0)
            except Exception as error:  # noqa: BLE001 - a commit that fails only costs repeated deliveries
                log.warning("commit.failed_before_revocation", error=type(error).__name__)
        self._revoked_assignment = self._current_assignment()
        self._forget(revoked)
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: set[TP], generation_id: int = 0) -> None:
        """Forget what a batch of the earlier assignment, delivered late, may have left."""
        self._forget(assigned)
        await super().on_partitions_assigned(assigned, generation_id)

    def _forget(self, partitions: set[TP]) -> None:
        self.tracker.revoke(partitions)
        for tp in partitions:
            self._last_committed.pop(tp, None)
            self._fetched.pop(tp, None)
            self._positions.pop(tp, None)
