"""One stage at work on the log: batches in, outputs acknowledged, positions moved, dead letters written.

A worker is one Faust app, and so one consumer group. It knows three kinds of stages (``streams.stage``) and treats
every record the same way: deliver, let the stage decide or work or store, write what it says, finish. A record whose
stage raises goes to the dead-letter topic untouched, and its neighbours go on.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import math
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from typing import cast

import faust
import structlog
from faust.types import TP, StreamT
from mode import CrashingSupervisor

from connectors.kafka.connection import Bootstrap
from schemas.records import Output, Record
from schemas.topics import Topics
from streams import driver
from streams.asking import MAX_DEADLINE_MS
from streams.buffer import Buffer
from streams.intake import Delivered, Intake
from streams.logs import where
from streams.outbox import Outbox
from streams.pulse import Pulse
from streams.stage import DecidingStage, LostError, Stage, WorkingStage
from streams.tracker import Delivery, Tracker

log = structlog.get_logger()

DRAIN_S = 8.0
"""How long a stopping worker waits for what is under way; the rest is delivered again to the next one."""
MAX_SPAN = 200_000
"""Offsets that a crash may deliver again, over all partitions of a worker; beyond it nothing more is read."""
STALLED_S = 300.0
"""A worker that has records under way and finishes none for so long is stuck: deciding takes no time. One that works
waits for the longest call on top, and one that stores waits for its store as long as it takes."""
LONGEST_CALL_S = MAX_DEADLINE_MS / 1000


class Worker:
    """Runs one stage. ``start``, then wait until it has ``ended``, or tell it to ``stop``."""

    def __init__(
        self,
        stage: Stage,
        topics: Topics,
        bootstrap: Bootstrap,
        *,
        in_flight: int = 2000,
        batch_share: float = 0.5,
        instance_id: str = "",
    ) -> None:
        self.stage = stage
        self._instance_id = instance_id or None
        self._slots = asyncio.Semaphore(in_flight)
        self._batch_places = max(1, int(batch_share * in_flight))
        self._topics = topics
        self._tasks: set[asyncio.Task[None]] = set()
        self._finished = asyncio.Event()
        self._progress = time.monotonic()
        self._buffer: Buffer | None = None
        self._prepared: set[tuple[str, int]] = set()
        self._patience_s = STALLED_S
        self._take = self._choose()
        lanes = topics.is_batch if self._buffer is None else lambda _: False  # nobody waits for a row
        self._intake = Intake(lanes, lambda: self._batch_places)
        self._pulse = Pulse(lambda: cast("driver.Consumer", self._app.consumer).confirm())
        self._running: list[asyncio.Task[None]] = []
        self._app = self._make_app(topics, bootstrap)
        self._outbox = Outbox(self._write, stage.name, topics.group(stage.name))

    def _make_app(self, topics: Topics, bootstrap: Bootstrap) -> driver.App:
        settings = {**driver.SETTINGS, "consumer_group_instance_id": self._instance_id}
        broker = f"{driver.SCHEME}://{bootstrap}"
        app = driver.App(topics.group(self.stage.name), broker=broker, **settings)
        app.kafka = bootstrap
        app.wants = self._intake.wants
        app.fetch = driver.PATIENT if hasattr(self.stage, "store") else driver.PROMPT
        names = [topic.name for topic in topics.read_by(self.stage.name)]
        source = app.topic(*names, value_type=bytes, value_serializer="raw", key_type=bytes, key_serializer="raw")
        app.agent(source, name=self.stage.name, supervisor_strategy=CrashingSupervisor)(self._consume)
        app.on_before_shutdown.connect(self._drain, weak=False)
        app.on_partitions_revoked.connect(self._revoked, weak=False)
        app.finalize()
        return app

    def _choose(self) -> Callable[[list[Delivered]], Awaitable[None]]:
        """How this kind of stage takes a batch."""
        if hasattr(self.stage, "handle"):
            return self._decide
        if hasattr(self.stage, "work"):
            self._patience_s = LONGEST_CALL_S + STALLED_S
            return self._work
        self._patience_s = math.inf
        self._buffer = Buffer(self.stage, self._finish)
        return self._buffer.put

    # --- its life

    async def start(self) -> None:
        """Join the group. Partitions come a moment later: see ``assigned``."""
        await self._app.start()
        self._running = [asyncio.create_task(self._begin()), asyncio.create_task(self._pulse.run())]

    async def stop(self) -> None:
        """Read no more, wait for what is under way, commit, leave the group."""
        await self._app.stop()
        left = {*self._tasks, *self._running}
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        if not hasattr(self.stage, "handle"):
            await cast("WorkingStage", self.stage).close()

    async def _drain(self, *_: object, **__: object) -> None:
        """Between the last fetch and the last commit."""
        if self._buffer is not None:
            await self._buffer.close(DRAIN_S)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S):
                while self._tasks:  # what was taken in already may still begin
                    await asyncio.wait(list(self._tasks))

    async def _revoked(self, _: object, /, *revoked: Iterable[TP], **__: object) -> None:
        """Between two owners of a partition. Faust has forgotten what it delivered of it, and so has the tracker."""
        gone = {(place.topic, place.partition) for places in revoked for place in places} & self._prepared
        self._prepared -= gone
        for partition in {partition for _, partition in gone}:
            cast("WorkingStage", self.stage).revoke(partition)

    async def ended(self) -> BaseException | None:
        """Wait until the worker can't go on, and say why. A new process is then the best cure."""
        while self.healthy:  # noqa: ASYNC110 - Faust tells nobody when it crashes
            await asyncio.sleep(0.25)
        if not self._app.should_stop:
            return TimeoutError(f"{self.stage.name} has finished nothing for {self._patience_s:.0f} s")
        reason: BaseException | None = self._app.crash_reason
        return reason

    @property
    def healthy(self) -> bool:
        """Whether it goes on, and what is under way gets finished."""
        stuck = self.open > 0 and time.monotonic() - self._progress > self._patience_s
        return not self._app.should_stop and not stuck

    @property
    def assigned(self) -> int:
        """How many partitions this worker has."""
        return len(self._app.consumer.assignment())

    @property
    def open(self) -> int:
        """How many records are under way."""
        return self._tracker.open

    @property
    def _tracker(self) -> Tracker:
        return cast("driver.Consumer", self._app.consumer).tracker

    async def _write(self, output: Output) -> Awaitable[object]:
        return await cast("driver.Producer", self._app.producer).write(output)

    # --- its work

    async def _consume(self, stream: StreamT[object]) -> None:
        """Take in what comes, the records of one partition at a time, as long as there is room."""
        async for event in cast("faust.Stream[object]", stream).noack().events():
            if not self.open:  # nobody can finish anything while nothing comes: the time of waiting does not count
                self._progress = time.monotonic()
            place = event.message.tp
            await self._intake.put(
                [
                    (
                        Record(
                            raw.topic, raw.partition, raw.offset, raw.timestamp, raw.key, raw.value, tuple(raw.headers)
                        ),
                        self._tracker.deliver(place, raw.offset),
                    )
                    for raw in cast("list[driver.ConsumerRecord]", event.value)
                ]
            )
            while self._tracker.span > MAX_SPAN:
                self._finished.clear()
                await self._finished.wait()

    async def _begin(self) -> None:
        """Begin with what was taken in, until cancelled. What goes wrong here is no record's fault: the worker ends."""
        try:
            while True:
                await self._take(await self._intake.next())
        except Exception as error:  # noqa: BLE001 - told where the worker is watched
            log.error("worker failed", stage=self.stage.name, error=type(error).__name__, where=where(error))
            await self._app.crash(error)

    async def _decide(self, batch: list[Delivered]) -> None:
        """Let the stage think about each record and post what it says; the batch is finished when all is on the log."""
        stage = cast("DecidingStage", self.stage)
        posted: list[tuple[Output, Awaitable[object] | None]] = []
        for record, _ in batch:
            try:
                outputs = stage.handle(record)
                posted += [(output, await self._outbox.post(output)) for output in outputs]
            except Exception as error:  # noqa: BLE001 - whatever a record does to a stage, its neighbours go on
                letter = self._outbox.dead(record, error)
                posted.append((letter, await self._outbox.post(letter)))
        self._spawn(self._settle(batch, posted))

    async def _work(self, batch: list[Delivered]) -> None:
        """Start the work on each record as soon as there is a slot for it."""
        if not await self._is_prepared(batch):
            return
        for record, delivery in batch:
            await self._slots.acquire()
            if delivery.lost:  # while it waited: another worker has it now
                self._slots.release()
                continue
            self._batch_places -= self._topics.is_batch(record.topic)
            self._spawn(self._work_on(record, delivery))

    async def _is_prepared(self, batch: list[Delivered]) -> bool:
        """Let the stage learn what others did with this partition; False if it was lost meanwhile."""
        stage, (first, delivery) = cast("WorkingStage", self.stage), batch[0]
        if (first.topic, first.partition) in self._prepared:
            return True
        await stage.prepare(first.partition, first.timestamp_ms)
        if delivery.lost:
            stage.revoke(first.partition)
            return False
        self._prepared.add((first.topic, first.partition))
        return True

    async def _work_on(self, record: Record, delivery: Delivery) -> None:
        try:
            try:
                emit = functools.partial(self._emit, delivery)
                outputs: Sequence[Output] = await cast("WorkingStage", self.stage).work(record, emit)
                wanted = [output for output in outputs if output.even_if_lost or not delivery.lost]
                posted = [(output, await self._outbox.post(output)) for output in wanted]
            except LostError:
                posted = []
            except Exception as error:  # noqa: BLE001 - see _decide
                letter = self._outbox.dead(record, error)
                posted = [(letter, await self._outbox.post(letter))]
            await self._settle([(record, delivery)], posted)
        finally:
            self._slots.release()
            self._batch_places += self._topics.is_batch(record.topic)
            self._intake.wake()

    async def _emit(self, delivery: Delivery, output: Output) -> None:
        """Write one output for a stage that goes on only then, and only if the record is still this worker's.

        Raises:
            LostError: another worker has the record, and the output was not one that is written even so.

        """
        if not output.even_if_lost:
            await self._pulse.sure()
            if delivery.lost:
                raise LostError
        await self._outbox.emit(output)
        if not output.even_if_lost:  # a process may be held up at any line
            await self._pulse.sure()
            if delivery.lost:
                raise LostError

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, batch: list[Delivered], posted: list[tuple[Output, Awaitable[object] | None]]) -> None:
        for output, future in posted:
            await self._outbox.deliver(output, future, lambda: not all(delivery.lost for _, delivery in batch))
        self._finish(batch)

    def _finish(self, batch: list[Delivered]) -> None:
        for _, delivery in batch:
            delivery.finish()
        self._progress = time.monotonic()
        self._finished.set()
