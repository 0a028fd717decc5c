"""What a stage wrote, until it is on the log: acknowledged, written again, or laid with the dead letters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

import structlog

from connectors.kafka.errors import REFUSALS
from schemas.kafka.headers import dead_letter_headers
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.logging import stack_summary
from streams.pipeline.dead_letters import dead_letter_record
from streams.pipeline.stage import DeadLetterError
from streams.runtime.driver import KafkaError, NoSuchTopicError, TooLargeError

log = structlog.get_logger()

RETRY_BACKOFF_S = (0.1, 0.5, 1.0, 2.0, 5.0)
"""Pauses before a failed write is tried again; then the last one, for as long as it takes."""

Write = Callable[[ProducerRecord], Awaitable[Awaitable[object]]]
"""Hands a record to the producer; what it returns is done when all in-sync replicas have it."""
Append = Callable[[ProducerRecord], Awaitable[object] | None]
"""The same at once, as nearly always it can be; None if it can't."""


class OutputWriter:
    """Writes a stage's outputs. Nothing that was given to it is forgotten while ``wanted`` says that it is needed."""

    def __init__(self, write: Write, stage: str, group: str, append: Append) -> None:
        self._write = write
        self.append = append
        self._stage = stage
        self._group = group

    async def send(self, output: ProducerRecord, origin: ConsumerRecord | None = None) -> Awaitable[object] | None:
        """Hand one output, that this record led to, to the producer; None if ``deliver`` has to try again."""
        try:
            return await self._write(output)
        except NoSuchTopicError as error:
            if output.dead_letter_topic:
                return await self.send(self.undeliverable(output, error, str(error), origin))
            log.error("topic is missing: run `sluice topics`", stage=self._stage, topic=output.topic)
        except TooLargeError:
            log.error("record is too large for its topic", stage=self._stage, topic=output.topic)
            raise
        except KafkaError as error:
            log.warning("write failed", stage=self._stage, topic=output.topic, error=type(error).__name__)
        return None

    async def send_until_acked(
        self,
        output: ProducerRecord,
        posted: Awaitable[object] | None,
        wanted: Callable[[], bool] = lambda: True,
        origin: ConsumerRecord | None = None,
    ) -> None:
        """Wait until an output is on the log, posting it again as long as it is wanted.

        A topic that a caller named and that refuses the record costs a dead letter, not the stage's time.
        """
        attempt = 0
        while True:
            if posted is not None:
                try:
                    await posted
                except KafkaError as error:
                    log.warning("write failed", stage=self._stage, topic=output.topic, error=type(error).__name__)
                    if isinstance(error, REFUSALS) and output.dead_letter_topic:
                        reason = f"{output.topic} does not take this record"
                        output = self.undeliverable(output, error, reason, origin)
                else:
                    return
            await asyncio.sleep(RETRY_BACKOFF_S[min(attempt, len(RETRY_BACKOFF_S) - 1)])
            if not wanted():
                return
            posted = await self.send(output, origin)
            attempt += 1

    async def flush(
        self, posted: Sequence[tuple[ProducerRecord, Awaitable[object] | None]], wanted: Callable[[], bool]
    ) -> None:
        """Wait until all of these are on the log, one after the other."""
        for output, future in posted:
            await self.send_until_acked(output, future, wanted)

    async def send_and_wait(self, output: ProducerRecord, origin: ConsumerRecord | None = None) -> None:
        """For a stage that must know an output on the log before it goes on with the record that led to it."""
        await self.send_until_acked(output, self.append(output) or await self.send(output, origin), origin=origin)

    def dead_letter(self, record: ConsumerRecord, error: Exception) -> ProducerRecord:
        """The record, untouched, for the dead-letter topic of where it came from."""
        place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
        if isinstance(error, DeadLetterError):
            reason = str(error)
            log.warning("dead letter", stage=self._stage, reason=reason, **place)
        else:  # a fault of ours
            reason = f"{self._stage} failed on this record"
            log.error("dead letter", stage=self._stage, error=type(error).__name__, where=stack_summary(error), **place)
        return dead_letter_record(
            record, stage=self._stage, group=self._group, error=type(error).__name__, reason=reason
        )

    def undeliverable(
        self, output: ProducerRecord, error: Exception, reason: str, origin: ConsumerRecord | None = None
    ) -> ProducerRecord:
        """An output for a topic that a caller named and that does not exist, or does not take it.

        It never had a place there, so it tells that of the record that it answers; its reason names the topic.
        """
        log.warning("reply can't be delivered", stage=self._stage, topic=output.topic)
        origin = output.source_record or origin
        headers = dead_letter_headers(
            origin.topic if origin else output.topic,
            origin.partition if origin else -1,
            origin.offset if origin else -1,
            origin.timestamp_ms if origin else int(time.time() * 1000),
            output.headers,
            stage=self._stage,
            group=self._group,
            error=type(error).__name__,
            reason=reason,
        )
        return ProducerRecord(
            output.dead_letter_topic, output.key, output.value, headers, origin.partition if origin else None
        )
