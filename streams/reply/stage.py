"""Reply: the end of a request goes back to where its caller waits, as an answer or as OpenAI's error object."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.avro.codec import UndecodableError, decode
from schemas.events.catalog import RequestSettled
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.config.settings import Settings
from streams.pipeline.stage import DeadLetterError, TransformStage
from streams.reply.deduplication import MAX_REMEMBERED, ReplyDeduplicator, reply_key
from streams.reply.message import build_reply


class ReplyStage(TransformStage):
    """The stage: ``RequestSettled`` in, one reply out if somebody waits.

    A call stage that crashes may settle a request twice: two records, one reply. What stays possible is a crash of this
    worker between a reply and its commit: then the same record is read again, and replied to again.
    """

    name = "reply"

    def __init__(self, settings: Settings, remembered: int = MAX_REMEMBERED) -> None:
        self._dead_letters = settings.topics.outcomes.dead_letters
        self._replied = ReplyDeduplicator(remembered)

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Write the reply, once for every request and caller."""
        try:
            event = decode(record.value or b"")
        except UndecodableError as error:
            raise DeadLetterError(str(error)) from error
        if not isinstance(event, RequestSettled):
            raise DeadLetterError(f"{type(event).__name__} does not belong on {record.topic}")
        reply_to = event.request.reply_to
        if reply_to is None or not self._replied.is_first(
            reply_key(event, reply_to), (record.partition, record.offset)
        ):
            return []
        return [build_reply(event, reply_to, self._dead_letters, record)]
