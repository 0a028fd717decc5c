"""Worker: runs one stage as a Faust app, and so as one member of the stage's consumer group.

It treats the records of the three kinds of stages (``streams.pipeline.stage``) the same way: deliver, process, write
the outputs, finish. If a stage raises an error on a record, that record goes to the dead-letter topic unchanged, and
the others are processed.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass
from typing import Protocol, cast

import faust
import structlog
from faust.types import TP, StreamT
from mode import CrashingSupervisor

from connectors.kafka.connection import KafkaAddress
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.kafka.request_headers import MAX_TIMEOUT_MS
from schemas.kafka.topics import Topics
from streams.logging import stack_summary
from streams.pipeline.stage import AsyncStage, SinkStage, Stage, TransformStage
from streams.runtime import driver
from streams.runtime.async_runner import AsyncRunner, InFlightLimit
from streams.runtime.lane_queue import LaneQueue
from streams.runtime.offset_tracker import Delivered, OffsetTracker
from streams.runtime.output_writer import OutputWriter
from streams.runtime.pause_detector import PauseDetector
from streams.runtime.sink_runner import SinkRunner
from streams.runtime.static_membership import group_instance_id
from streams.runtime.transform_runner import TransformRunner

log = structlog.get_logger()

DRAIN_TIMEOUT_S = 8.0
"""Time that a stopping worker waits for records in flight; the rest is delivered again to the next one."""
MAX_REDELIVERY_SPAN = 200_000
"""Offsets that a crash may deliver again, over all partitions of a worker; beyond it nothing more is consumed."""
STALL_TIMEOUT_S = 300.0
"""A worker with records in flight that finishes none for this long is stuck. An AsyncStage may take the longest call in
addition; a SinkStage may wait for its store without limit."""
MAX_CALL_S = MAX_TIMEOUT_MS / 1000
_HEALTH_INTERVAL_S = 0.25


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """Settings of a worker."""

    in_flight: int = 2000
    """Records in flight at once; for an AsyncStage only, as the next two."""
    in_flight_bytes: int = 256 * 1024 * 1024
    """Size of the values of all records in flight."""
    batch_share: float = 0.5
    """Share of ``in_flight`` that the batch lane may use."""
    instance_id: str = ""
    """Prefix of Kafka's ``group.instance.id``; empty for a dynamic member."""


class StageRunner(Protocol):
    """Passes records to one kind of stage."""

    async def take(self, batch: list[Delivered]) -> None:
        """Start the records of one partition; return when there is room for more."""
        ...

    def revoke(self, partitions: set[tuple[str, int]]) -> None:
        """Note that these topics' partitions now belong to another worker."""
        ...

    async def drain(self) -> None:
        """Wait until the started records are finished."""
        ...

    async def close(self) -> None:
        """Cancel the records that are not finished, and release all resources."""
        ...


class Worker:
    """Runs one stage: ``start``, then ``wait_until_failed`` or ``stop``.

    Args:
        stage: the stage.
        topics: all topics of the pipeline.
        bootstrap: address of Kafka.
        config: limits and group membership.

    """

    def __init__(
        self, stage: Stage, topics: Topics, bootstrap: KafkaAddress, config: WorkerConfig | None = None
    ) -> None:
        config = config or WorkerConfig()
        self.stage = stage
        self._instance_id = group_instance_id(config.instance_id, topics.sources_of(stage.name))
        self._finished = asyncio.Event()
        self._last_progress_s = time.monotonic()
        self._tasks: list[asyncio.Task[None]] = []
        self._writer = OutputWriter(self._write, stage.name, topics.group(stage.name), self._append)
        self._pause_detector = PauseDetector(self._confirm)
        changed = asyncio.Event()
        limit = InFlightLimit(
            config.in_flight, config.in_flight_bytes, config.batch_share, topics.is_batch, changed.set
        )
        has_lanes = not isinstance(stage, SinkStage)  # no caller waits for a row
        self._queue = LaneQueue(
            topics.is_batch if has_lanes else lambda _: False, lambda: limit.batch_available, changed
        )
        self._runner, self._stall_timeout_s = self._choose_runner(limit)
        self._app = self._create_app(topics, bootstrap)

    def _choose_runner(self, limit: InFlightLimit) -> tuple[StageRunner, float]:
        """Return the runner of this kind of stage, and its stall timeout in seconds."""
        stage = self.stage
        if isinstance(stage, TransformStage):
            return TransformRunner(stage, self._writer, self._finish), STALL_TIMEOUT_S
        if isinstance(stage, AsyncStage):
            confirmed = self._pause_detector.wait_until_confirmed
            runner = AsyncRunner(stage, self._writer, self._finish, limit, confirmed)
            return runner, MAX_CALL_S + STALL_TIMEOUT_S
        return SinkRunner(stage, self._finish), math.inf

    def _create_app(self, topics: Topics, bootstrap: KafkaAddress) -> driver.App:
        settings = {**driver.SETTINGS, "consumer_group_instance_id": self._instance_id}
        broker = f"{driver.SCHEME}://{bootstrap}"
        app = driver.App(topics.group(self.stage.name), broker=broker, **settings)
        app.kafka = bootstrap
        app.accepts_topic = self._queue.accepts
        app.fetch = driver.THROUGHPUT_FETCH if isinstance(self._runner, SinkRunner) else driver.LOW_LATENCY_FETCH
        names = [topic.name for topic in topics.sources_of(self.stage.name)]
        source = app.topic(*names, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
        app.agent(source, name=self.stage.name, supervisor_strategy=CrashingSupervisor)(self._consume)
        app.on_before_shutdown.connect(self._drain, weak=False)
        app.on_partitions_revoked.connect(self._on_partitions_revoked, weak=False)
        app.finalize()
        return app

    # --- life cycle

    async def start(self) -> None:
        """Join the group. Partitions are assigned a moment later: see ``assigned``."""
        await self._app.start()
        self._tasks = [asyncio.create_task(self._run()), asyncio.create_task(self._pause_detector.run())]

    async def stop(self) -> None:
        """Stop consuming, wait for records in flight, commit, and leave the group."""
        await self._app.stop()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._runner.close()

    async def _drain(self, *_: object, **__: object) -> None:
        """Finish records in flight, between the last fetch and the last commit."""
        self._queue.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._runner.drain(), DRAIN_TIMEOUT_S)

    async def _on_partitions_revoked(self, _: object, /, *revoked: Iterable[TP], **__: object) -> None:
        """Tell the runner. Faust and the tracker have forgotten the deliveries of these partitions by now."""
        self._runner.revoke({(tp.topic, tp.partition) for partitions in revoked for tp in partitions})

    async def wait_until_failed(self) -> BaseException | None:
        """Wait until the worker fails, and return the reason. The process should then be replaced."""
        while self.is_healthy:  # noqa: ASYNC110 - Faust has no event for a crash
            await asyncio.sleep(_HEALTH_INTERVAL_S)
        if not self._app.should_stop:
            return TimeoutError(f"{self.stage.name} has finished no record for {self._stall_timeout_s:.0f} s")
        reason: BaseException | None = self._app.crash_reason
        return reason

    @property
    def is_healthy(self) -> bool:
        """True while the worker runs and finishes records."""
        is_stuck = self.in_flight > 0 and time.monotonic() - self._last_progress_s > self._stall_timeout_s
        return not self._app.should_stop and not is_stuck

    @property
    def assigned(self) -> int:
        """Number of partitions assigned to this worker."""
        return len(self._app.consumer.assignment())

    @property
    def in_flight(self) -> int:
        """Number of records in flight."""
        return self._tracker.in_flight

    @property
    def _tracker(self) -> OffsetTracker:
        return self._consumer.tracker

    @property
    def _consumer(self) -> driver.Consumer:
        return cast("driver.Consumer", self._app.consumer)

    async def _write(self, output: ProducerRecord) -> Awaitable[object]:
        return await cast("driver.StageProducer", self._app.producer).write(output)

    def _append(self, output: ProducerRecord) -> Awaitable[object] | None:
        return cast("driver.StageProducer", self._app.producer).append(output)

    async def _confirm(self) -> None:
        await self._consumer.confirm_ownership()

    # --- records

    async def _consume(self, stream: StreamT[object]) -> None:
        """Queue the fetched records, those of one partition at a time, as long as there is room."""
        async for event in cast("faust.Stream[object]", stream).noack().events():
            if not self.in_flight:  # the time without records does not count as a stall
                self._last_progress_s = time.monotonic()
            tp = event.message.tp
            records = cast("list[ConsumerRecord]", event.value)
            await self._queue.put([(record, self._tracker.deliver(tp, record.offset)) for record in records])
            while self._tracker.redelivery_span > MAX_REDELIVERY_SPAN:
                self._finished.clear()
                await self._finished.wait()

    async def _run(self) -> None:
        """Pass queued records to the stage until cancelled. An error here is not a record's fault: the worker fails."""
        try:
            while True:
                await self._runner.take(await self._queue.get())
        except Exception as error:  # noqa: BLE001 - `wait_until_failed` returns it
            log.error("worker.failed", stage=self.stage.name, error=type(error).__name__, where=stack_summary(error))
            await self._app.crash(error)

    def _finish(self, batch: list[Delivered]) -> None:
        for _, delivery in batch:
            delivery.finish()
        self._last_progress_s = time.monotonic()
        self._finished.set()
