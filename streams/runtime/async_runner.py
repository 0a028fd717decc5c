"""How a stage that waits for others takes records: hundreds at once, each in its own slot, in no order."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import AsyncStage, PartitionRevokedError
from streams.runtime.lane_queue import Delivered
from streams.runtime.offset_tracker import Delivery
from streams.runtime.output_writer import OutputWriter
from streams.runtime.transform_runner import Finish


class InFlightLimit:
    """How many records may be under way at once, and how large; of the batch lane no more than a part of that.

    Args:
        total: records.
        most_bytes: of their values together; a larger one is under way alone.
        batch_share: the part, above 0 and up to 1.
        is_batch: whether a topic is of the batch lane.
        freed: told whenever one has ended.

    """

    def __init__(
        self,
        total: int,
        most_bytes: int,
        batch_share: float,
        is_batch: Callable[[str], bool],
        freed: Callable[[], None],
    ) -> None:
        self.batch_available = max(1, int(batch_share * total))
        """How many of the batch lane may be begun now."""
        self._free = asyncio.Semaphore(total)
        self._most_bytes = most_bytes
        self._bytes = 0
        self._lighter = asyncio.Event()
        self._is_batch = is_batch
        self._freed = freed

    async def acquire(self, record: ConsumerRecord) -> None:
        """Wait for a slot, and until the record is not too much with the others. One at a time may wait."""
        await self._free.acquire()
        size = len(record.value or b"")
        while self._bytes and self._bytes + size > self._most_bytes:
            self._lighter.clear()
            await self._lighter.wait()
        self._bytes += size
        self.batch_available -= self._is_batch(record.topic)

    def release(self, record: ConsumerRecord) -> None:
        """Free the slot of a record that has ended."""
        self._free.release()
        self._bytes -= len(record.value or b"")
        self._lighter.set()
        self.batch_available += self._is_batch(record.topic)
        self._freed()


class AsyncRunner:
    """Brings records to one stage, and what it says to the log.

    Args:
        stage: that does the work.
        outbox: for what it says.
        finish: told of every record that is done.
        slots: for records under way.
        sure: returns when it is certain which partitions are this worker's.

    """

    def __init__(
        self,
        stage: AsyncStage,
        outbox: OutputWriter,
        finish: Finish,
        slots: InFlightLimit,
        sure: Callable[[], Awaitable[None]],
    ) -> None:
        self._stage = stage
        self._writer = outbox
        self._finish = finish
        self._limit = slots
        self._wait_until_confirmed = sure
        self._prepared: set[tuple[str, int]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False

    async def take(self, batch: list[Delivered]) -> None:
        """Start the work on each record as soon as there is a slot for it."""
        if not await self._is_prepared(batch):
            return
        for record, delivery in batch:
            await self._limit.acquire(record)
            if delivery.is_revoked or self._closing:  # since it began to wait: it is another worker's to begin
                self._limit.release(record)
                continue
            task = asyncio.ensure_future(self._process(record, delivery))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _is_prepared(self, batch: list[Delivered]) -> bool:
        """Let the stage learn what others did with this partition; False if it was lost meanwhile."""
        first, delivery = batch[0]
        if (first.topic, first.partition) in self._prepared:
            return True
        await self._stage.on_partition_assigned(first.partition, first.timestamp_ms)
        if delivery.is_revoked:
            self._stage.on_partition_revoked(first.partition)
            return False
        self._prepared.add((first.topic, first.partition))
        return True

    async def _process(self, record: ConsumerRecord, delivery: Delivery) -> None:
        try:
            try:
                outputs = await self._stage.process(record, functools.partial(self._emit, record, delivery))
                await self._wait_until_confirmed()
                wanted = [output for output in outputs if output.write_after_revocation or not delivery.is_revoked]
                posted = [(output, self._writer.append(output) or await self._writer.send(output)) for output in wanted]
            except PartitionRevokedError:
                posted = []
            except Exception as error:  # noqa: BLE001 - whatever a record does to the stage, the others go on
                letter = self._writer.dead_letter(record, error)
                posted = [(letter, await self._writer.send(letter))]
            await self._writer.flush(posted, lambda: not delivery.is_revoked)
            self._finish([(record, delivery)])
        finally:
            self._limit.release(record)

    async def _emit(self, record: ConsumerRecord, delivery: Delivery, output: ProducerRecord) -> None:
        """Write one output for a stage that goes on only then: see ``streams.pipeline.stage.Emit``."""
        if output.write_after_revocation:
            await self._writer.send_and_wait(output, record)
            return
        await self._wait_until_still_owned(delivery, written=False)
        await self._writer.send_and_wait(output, record)
        await self._wait_until_still_owned(delivery, written=True)  # a process may be held up at any line

    async def _wait_until_still_owned(self, delivery: Delivery, *, written: bool) -> None:
        await self._wait_until_confirmed()
        if delivery.is_revoked:
            raise PartitionRevokedError(written=written)

    def revoke(self, places: set[tuple[str, int]]) -> None:
        """Tell the stage, once for each partition, whatever topics it is of."""
        gone = places & self._prepared
        self._prepared -= gone
        for partition in {partition for _, partition in gone}:
            self._stage.on_partition_revoked(partition)

    async def drain(self) -> None:
        """Begin nothing more, and wait until what is under way has ended."""
        self._closing = True
        while self._tasks:
            await asyncio.wait(list(self._tasks))

    async def close(self) -> None:
        """Give up what has not ended; it is delivered again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._stage.close()
