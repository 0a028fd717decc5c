"""Runs a TransformStage: one batch at a time, finished when all of its outputs are acknowledged."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.stage import TransformStage
from streams.runtime.offset_tracker import Delivered, Finish
from streams.runtime.output_writer import OutputWriter
from streams.runtime.task_set import TaskSet


def _no_end(_: ConsumerRecord) -> Sequence[ProducerRecord]:
    """Return nothing: the first output of the record, which is written, is its end or leads to it."""
    return ()


class TransformRunner:
    """Passes batches to one stage, and writes its outputs.

    Args:
        stage: the stage.
        writer: of the stage's outputs.
        finish: called with each batch whose outputs are all acknowledged.

    """

    def __init__(self, stage: TransformStage, writer: OutputWriter, finish: Finish) -> None:
        self._stage = stage
        self._writer = writer
        self._finish = finish
        self._flushes = TaskSet()

    async def take(self, batch: list[Delivered]) -> None:
        """Process each record, and hand its outputs to the producer."""
        sent: list[tuple[ProducerRecord, Awaitable[object] | None]] = []
        for record, _ in batch:
            written = len(sent)
            try:
                for output in self._stage.process(record):
                    acknowledged = self._writer.append(output) or await self._writer.send(output)
                    sent.append((output, acknowledged))  # before the next output, which may fail
            except Exception as error:  # noqa: BLE001 - a record that fails must not stop the others
                end_request = self._stage.end_after_failure if len(sent) == written else _no_end
                outputs = self._writer.failure_outputs(record, error, end_request)
                sent.extend([(output, await self._writer.send(output)) for output in outputs])
        self._flushes.start(self._flush(batch, sent))

    async def _flush(self, batch: list[Delivered], sent: list[tuple[ProducerRecord, Awaitable[object] | None]]) -> None:
        await self._writer.flush(sent, lambda: not all(delivery.is_revoked for _, delivery in batch))
        self._finish(batch)

    def revoke(self, partitions: set[tuple[str, int]]) -> None:
        """Do nothing: a record that is processed twice does no harm."""

    async def drain(self) -> None:
        """Wait until all outputs are acknowledged."""
        await self._flushes.drain()

    async def close(self) -> None:
        """Give up outputs that are not acknowledged. Their records are delivered again."""
        await self._flushes.cancel()
