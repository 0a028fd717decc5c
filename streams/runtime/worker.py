"""One stage at work on the log: batches in, outputs acknowledged, positions moved, dead letters written.

A worker is one Faust app, and so one consumer group. It knows three kinds of stages (``streams.pipeline.stage``)
and treats every record the same way: deliver it, process it, write its outputs, finish it. A record whose stage
raises goes to the dead-letter topic untouched, and its neighbours go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Awaitable, Iterable
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
from streams.runtime.lane_queue import Delivered, LaneQueue
from streams.runtime.offset_tracker import OffsetTracker
from streams.runtime.output_writer import OutputWriter
from streams.runtime.pause_detector import PauseDetector
from streams.runtime.sink_runner import SinkRunner
from streams.runtime.static_membership import group_instance_id
from streams.runtime.transform_runner import TransformRunner

log = structlog.get_logger()

DRAIN_TIMEOUT_S = 8.0
"""How long a stopping worker waits for what is under way; the rest is delivered again to the next one."""
MAX_REDELIVERY_SPAN = 200_000
"""Offsets that a crash may deliver again, over all partitions of a worker; beyond it nothing more is read."""
STALL_TIMEOUT_S = 300.0
"""A worker that has records under way and finishes none for so long is stuck: deciding takes no time. One that works
waits for the longest call on top, and one that stores waits for its store as long as it takes."""
MAX_CALL_S = MAX_TIMEOUT_MS / 1000


class StageRunner(Protocol):
    """How one kind of stage takes records."""

    async def take(self, batch: list[Delivered]) -> None:
        """Begin with the records of one partition; returns when there is room for more."""
        ...

    def revoke(self, places: set[tuple[str, int]]) -> None:
        """These topics and partitions are another worker's from now on."""
        ...

    async def drain(self) -> None:
        """Wait until what was begun is done."""
        ...

    async def close(self) -> None:
        """Give up what is not done, and let go of everything."""
        ...


class Worker:
    """Runs one stage. ``start``, then wait until it has ``ended``, or tell it to ``stop``.

    Args:
        stage: what to run.
        topics: the map of the log.
        bootstrap: where Kafka is.
        in_flight: records under way at once, for a stage that works.
        in_flight_bytes: the same, of their values together.
        batch_share: the part of these that the batch lane may have.
        instance_id: the name under which Kafka knows it again; empty for a member that comes and goes.

    """

    def __init__(
        self,
        stage: Stage,
        topics: Topics,
        bootstrap: KafkaAddress,
        *,
        in_flight: int = 2000,
        in_flight_bytes: int = 256 * 1024 * 1024,
        batch_share: float = 0.5,
        instance_id: str = "",
    ) -> None:
        self.stage = stage
        self._instance_id = group_instance_id(instance_id, topics.sources_of(stage.name))
        self._finished = asyncio.Event()
        self._progress = time.monotonic()
        self._running: list[asyncio.Task[None]] = []
        self._writer = OutputWriter(self._write, stage.name, topics.group(stage.name), self._append)
        self._pause_detector = PauseDetector(self._confirm)
        lanes = (lambda _: False) if isinstance(stage, SinkStage) else topics.is_batch  # nobody waits for a row
        self._queue = LaneQueue(lanes, lambda: self._limit.batch_available)
        self._limit = InFlightLimit(in_flight, in_flight_bytes, batch_share, topics.is_batch, self._queue.notify)
        self._runner, self._stall_timeout_s = self._choose()
        self._app = self._make_app(topics, bootstrap)

    def _choose(self) -> tuple[StageRunner, float]:
        """How this kind of stage takes records, and how long it may finish none while it has some."""
        stage = self.stage
        if isinstance(stage, TransformStage):
            return TransformRunner(stage, self._writer, self._finish), STALL_TIMEOUT_S
        if isinstance(stage, AsyncStage):
            confirmed = self._pause_detector.wait_until_confirmed
            runner = AsyncRunner(stage, self._writer, self._finish, self._limit, confirmed)
            return runner, MAX_CALL_S + STALL_TIMEOUT_S
        return SinkRunner(stage, self._finish), math.inf

    def _make_app(self, topics: Topics, bootstrap: KafkaAddress) -> driver.App:
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
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.finalize()
        return app

    # --- its life

    async def start(self) -> None:
        """Join the group. Partitions come a moment later: see ``assigned``."""
        await self._app.start()
        self._running = [asyncio.create_task(self._run()), asyncio.create_task(self._pause_detector.run())]

    async def stop(self) -> None:
        """Read no more, wait for what is under way, commit, leave the group."""
        await self._app.stop()
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        await self._runner.close()

    async def _drain(self, *_: object, **__: object) -> None:
        """Between the last fetch and the last commit."""
        self._queue.close()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._runner.drain(), DRAIN_TIMEOUT_S)

    async def _revoked(self, _: object, /, *revoked: Iterable[TP], **__: object) -> None:
        """Between two owners of a partition. Faust has forgotten what it delivered of it, and so has the tracker."""
        self._runner.revoke({(place.topic, place.partition) for places in revoked for place in places})

    async def wait_until_failed(self) -> BaseException | None:
        """Wait until the worker can't go on, and say why. A new process is then the best cure."""
        while self.is_healthy:  # noqa: ASYNC110 - Faust tells nobody when it crashes
            await asyncio.sleep(0.25)
        if not self._app.should_stop:
            return TimeoutError(f"{self.stage.name} has finished nothing for {self._stall_timeout_s:.0f} s")
        reason: BaseException | None = self._app.crash_reason
        return reason

    @property
    def is_healthy(self) -> bool:
        """Whether it goes on, and what is under way gets finished."""
        stuck = self.in_flight > 0 and time.monotonic() - self._progress > self._stall_timeout_s
        return not self._app.should_stop and not stuck

    @property
    def assigned(self) -> int:
        """How many partitions this worker has."""
        return len(self._app.consumer.assignment())

    @property
    def in_flight(self) -> int:
        """How many records are under way."""
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

    # --- its work

    async def _consume(self, stream: StreamT[object]) -> None:
        """Take in what comes, the records of one partition at a time, as long as there is room."""
        async for event in cast("faust.Stream[object]", stream).noack().events():
            if not self.in_flight:  # nobody can finish anything while nothing comes: the time of waiting does not count
                self._progress = time.monotonic()
            place = event.message.tp
            await self._queue.put(
                [
                    (record, self._tracker.deliver(place, record.offset))
                    for record in cast("list[ConsumerRecord]", event.value)
                ]
            )
            while self._tracker.redelivery_span > MAX_REDELIVERY_SPAN:
                self._finished.clear()
                await self._finished.wait()

    async def _run(self) -> None:
        """Begin with what was taken in, until cancelled. What goes wrong here is no record's fault: the worker ends."""
        try:
            while True:
                await self._runner.take(await self._queue.get())
        except Exception as error:  # noqa: BLE001 - told where the worker is watched
            log.error("worker failed", stage=self.stage.name, error=type(error).__name__, where=stack_summary(error))
            await self._app.crash(error)

    def _finish(self, batch: list[Delivered]) -> None:
        for _, delivery in batch:
            delivery.finish()
        self._progress = time.monotonic()
        self._finished.set()
