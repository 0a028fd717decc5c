"""Writer of a stage's outputs: acknowledged, written again, or sent to the dead-letter topic."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from connectors.kafka.errors import REFUSALS
from schemas.kafka.headers import dead_letter_headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.logging import stack_summary
from streams.pipeline.backoff import backoff
from streams.pipeline.dead_letters import dead_letter_record
from streams.pipeline.stage import DeadLetterError
from streams.runtime.driver import KafkaError, NoSuchTopicError, TooLargeError

log = structlog.get_logger()

RETRY_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Delays before a failed write is repeated; the last one repeats for as long as it takes."""

Write = Callable[[ProducerRecord], Awaitable[Awaitable[object]]]
"""Hands a record to the producer; the result completes when all in-sync replicas have it."""
Append = Callable[[ProducerRecord], Awaitable[object] | None]
"""Does the same without waiting, which is nearly always possible; returns None if it is not."""


class OutputWriter:
    """Writes a stage's outputs. No output is dropped while ``is_wanted`` returns True."""

    def __init__(self, write: Write, stage: str, group: str, append: Append) -> None:
        self._write = write
        self.append = append
        self._stage = stage
        self._group = group

    async def send(self, output: ProducerRecord, origin: ConsumerRecord | None = None) -> Awaitable[object] | None:
        """Hand one output of the record ``origin`` to the producer; None if ``send_until_acked`` has to try again."""
        try:
            return await self._write(output)
        except NoSuchTopicError as error:
            if output.dead_letter_topic:
                return await self.send(self.undeliverable(output, error, str(error), origin))
            log.error("topic.missing", stage=self._stage, topic=output.topic, remedy="run `sluice topics`")
        except TooLargeError:
            log.error("record.too_large", stage=self._stage, topic=output.topic)
            raise
        except KafkaError as error:
            self._log_failure(output, error)
        return None

    async def send_until_acked(
        self,
        output: ProducerRecord,
        acknowledged: Awaitable[object] | None,
        is_wanted: Callable[[], bool] = lambda: True,
        origin: ConsumerRecord | None = None,
    ) -> None:
        """Wait until an output is acknowledged, and send it again as long as it is wanted.

        If a topic that a caller named refuses the record, the output goes to the dead-letter topic instead.
        """
        delays = backoff(RETRY_BACKOFF_S)
        while True:
            if acknowledged is not None:
                try:
                    await acknowledged
                except KafkaError as error:
                    self._log_failure(output, error)
                    if isinstance(error, REFUSALS) and output.dead_letter_topic:
                        reason = f"{output.topic} does not take this record"
                        output = self.undeliverable(output, error, reason, origin)
                else:
                    return
            await asyncio.sleep(next(delays))
            if not is_wanted():
                return
            acknowledged = await self.send(output, origin)

    async def flush(
        self, sent: Sequence[tuple[ProducerRecord, Awaitable[object] | None]], is_wanted: Callable[[], bool]
    ) -> None:
        """Wait until all of these are acknowledged, one after the other."""
        for output, acknowledged in sent:
            await self.send_until_acked(output, acknowledged, is_wanted)

    async def send_and_wait(self, output: ProducerRecord, origin: ConsumerRecord | None = None) -> None:
        """Write an output and wait until it is acknowledged."""
        await self.send_until_acked(output, self.append(output) or await self.send(output, origin), origin=origin)

    def failure_outputs(
        self,
        record: ConsumerRecord,
        error: Exception,
        end_request: Callable[[ConsumerRecord], Sequence[ProducerRecord]],
    ) -> list[ProducerRecord]:
        """Return the end of the record's request, if it can be built, and the record's dead letter."""
        try:
            end = end_request(record)
        except Exception as failure:  # noqa: BLE001 - the dead letter is still written
            log.warning("request.not_ended", stage=self._stage, error=type(failure).__name__)
            end = ()
        return [*end, self.dead_letter(record, error)]

    def dead_letter(self, record: ConsumerRecord, error: Exception) -> ProducerRecord:
        """Return the unchanged record, addressed to the dead-letter topic of its own topic."""
        position = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        name = type(error).__name__
        if isinstance(error, DeadLetterError):
            reason = str(error)
            log.warning("record.dead_lettered", stage=self._stage, reason=reason, **position)
        else:  # a bug in the stage
            reason = f"{self._stage} failed on this record"
            log.error("record.dead_lettered", stage=self._stage, error=name, where=stack_summary(error), **position)
        return dead_letter_record(record, stage=self._stage, group=self._group, error=name, reason=reason)

    def undeliverable(
        self, output: ProducerRecord, error: Exception, reason: str, origin: ConsumerRecord | None = None
    ) -> ProducerRecord:
        """Return the dead letter of an output whose topic, named by a caller, does not exist or refuses it.

        The output has no position of its own, so the letter has that of the record that it answers; the reason names
        the topic.
        """
        log.warning("reply.undeliverable", stage=self._stage, topic=output.topic)
        origin = output.source_record or origin
        headers = dead_letter_headers(
            origin.topic if origin else output.topic,
            origin.partition if origin else -1,
            origin.offset if origin else -1,
            origin.timestamp_ms if origin else time.time_ns() // 1_000_000,
            output.headers,
            stage=self._stage,
            group=self._group,
            error=type(error).__name__,
            reason=reason,
        )
        return ProducerRecord(
            output.dead_letter_topic, output.key, output.value, headers, origin.partition if origin else None
        )

    def _log_failure(self, output: ProducerRecord, error: KafkaError) -> None:
        log.warning("record.write_failed", stage=self._stage, topic=output.topic, error=type(error).__name__)
