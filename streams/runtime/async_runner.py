"""Runs an AsyncStage: many records in flight at once, which finish in any order."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import AsyncStage, PartitionRevokedError
from streams.runtime.offset_tracker import Delivered, Delivery, Finish
from streams.runtime.output_writer import OutputWriter
from streams.runtime.task_set import TaskSet


class InFlightLimit:
    """Limits on the number and the total size of records in flight; the batch lane may use only a share of them.

    Args:
        total: records.
        max_bytes: of all their values. A larger record is in flight alone.
        batch_share: the batch lane's share of ``total``, above 0 and up to 1.
        is_batch: returns whether a topic belongs to the batch lane.
        on_release: called whenever a record has ended.

    """

    def __init__(
        self,
        total: int,
        max_bytes: int,
        batch_share: float,
        is_batch: Callable[[str], bool],
        on_release: Callable[[], None],
    ) -> None:
        self.batch_available = max(1, int(batch_share * total))
        """Batch records that may be started now."""
        self._slots = asyncio.Semaphore(total)
        self._max_bytes = max_bytes
        self._bytes = 0
        self._released = asyncio.Event()
        self._is_batch = is_batch
        self._on_release = on_release

    async def acquire(self, record: ConsumerRecord) -> None:
        """Wait for a slot, and until the record fits into the limit of bytes. Only one caller at a time may wait."""
        await self._slots.acquire()
        size = len(record.value or b"")
        while self._bytes and self._bytes + size > self._max_bytes:
            self._released.clear()
            await self._released.wait()
        self._bytes += size
        self.batch_available -= self._is_batch(record.topic)

    def release(self, record: ConsumerRecord) -> None:
        """Free the slot of a record that has ended."""
        self._slots.release()
        self._bytes -= len(record.value or b"")
        self._released.set()
        self.batch_available += self._is_batch(record.topic)
        self._on_release()


class AsyncRunner:
    """Starts one task for each record of one stage, and writes its outputs.

    Args:
        stage: the stage.
        writer: of the stage's outputs.
        finish: called with each record whose outputs are all acknowledged.
        limit: on records in flight.
        wait_until_confirmed: returns when it is certain which partitions belong to this worker.

    """

    def __init__(
        self,
        stage: AsyncStage,
        writer: OutputWriter,
        finish: Finish,
        limit: InFlightLimit,
        wait_until_confirmed: Callable[[], Awaitable[None]],
    ) -> None:
        self._stage = stage
        self._writer = writer
        self._finish = finish
        self._limit = limit
        self._wait_until_confirmed = wait_until_confirmed
        self._prepared: set[tuple[str, int]] = set()
        self._tasks = TaskSet()
        self._closing = False

    async def take(self, batch: list[Delivered]) -> None:
        """Start each record as soon as there is a slot for it."""
        if not await self._is_prepared(batch):
            return
        for record, delivery in batch:
            await self._limit.acquire(record)
            if delivery.is_revoked or self._closing:  # changed while it waited: another worker starts this record
                self._limit.release(record)
                continue
            self._tasks.start(self._process(record, delivery))

    async def _is_prepared(self, batch: list[Delivered]) -> bool:
        """Prepare the stage for a new partition; return False if the partition was revoked meanwhile."""
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
        sent: list[tuple[ProducerRecord, Awaitable[object] | None]] = []
        try:
            try:
                outputs = await self._stage.process(record, functools.partial(self._emit, record, delivery))
                await self._wait_until_confirmed()
                wanted = [output for output in outputs if output.write_after_revocation or not delivery.is_revoked]
                for output in wanted:
                    acknowledged = self._writer.append(output) or await self._writer.send(output)
                    sent.append((output, acknowledged))  # before the next output, which may fail
            except PartitionRevokedError:
                pass
            except Exception as error:  # noqa: BLE001 - a record that fails must not stop the others
                if not delivery.is_revoked:  # otherwise the new owner processes the record
                    outputs = self._writer.failure_outputs(record, error, self._stage.end_after_failure)
                    sent.extend([(output, await self._writer.send(output)) for output in outputs])
            await self._writer.flush(sent, lambda: not delivery.is_revoked)
            self._finish([(record, delivery)])
        finally:
            self._limit.release(record)

    async def _emit(self, record: ConsumerRecord, delivery: Delivery, output: ProducerRecord) -> None:
        """Write one output and wait until it is acknowledged: see ``streams.pipeline.stage.Emit``."""
        if output.write_after_revocation:
            await self._writer.send_and_wait(output, record)
            return
        await self._check_ownership(delivery, already_written=False)
        await self._writer.send_and_wait(output, record)
        await self._check_ownership(delivery, already_written=True)  # the process may be paused at any line

    async def _check_ownership(self, delivery: Delivery, *, already_written: bool) -> None:
        await self._wait_until_confirmed()
        if delivery.is_revoked:
            raise PartitionRevokedError(already_written=already_written)

    def revoke(self, partitions: set[tuple[str, int]]) -> None:
        """Tell the stage once for each partition number, also if several topics are concerned."""
        revoked = partitions & self._prepared
        self._prepared -= revoked
        for partition in {partition for _, partition in revoked}:
            self._stage.on_partition_revoked(partition)

    async def drain(self) -> None:
        """Start no more records, and wait until those in flight have ended."""
        self._closing = True
        await self._tasks.drain()

    async def close(self) -> None:
        """Cancel the records in flight, and close the stage. They are delivered again."""
        await self._tasks.cancel()
        await self._stage.close()
