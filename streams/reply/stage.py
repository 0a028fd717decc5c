"""Reply stage: sends the outcome of a request to its caller, as the answer or as OpenAI's error object."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.avro.codec import UndecodableError, decode
from schemas.events.catalog import RequestSettled
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.settlement import settle_internal_error
from streams.pipeline.stage import DeadLetterError, TransformStage
from streams.reply.deduplication import MAX_REPLIES, ReplyDeduplicator, reply_key
from streams.reply.message import build_reply


class ReplyStage(TransformStage):
    """Consumes ``RequestSettled``; produces one reply if the request has a reply address.

    A call stage that crashes may settle a request twice: two outcomes, one reply. A second reply is possible if this
    worker crashes between a reply and its commit, because the outcome is then read and replied to again.

    Args:
        dead_letter_topic: for replies that can't be written.
        max_replies: replies remembered for the deduplication.

    """

    name = "reply"

    def __init__(self, dead_letter_topic: str, max_replies: int = MAX_REPLIES) -> None:
        self._dead_letter_topic = dead_letter_topic
        self._deduplicator = ReplyDeduplicator(max_replies)

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Return the reply, once for every request and caller.

        Raises:
            DeadLetterError: the record is not the outcome of a request.

        """
        try:
            event = decode(record.value or b"")
        except UndecodableError as error:
            raise DeadLetterError(str(error)) from error
        if not isinstance(event, RequestSettled):
            raise DeadLetterError(f"{type(event).__name__} does not belong on {record.topic}")
        reply_to = event.request.reply_to
        if reply_to is None:
            return []
        if not self._deduplicator.is_first(reply_key(event, reply_to), (record.partition, record.offset)):
            return []
        return [build_reply(event, reply_to, self._dead_letter_topic, record)]

    def end_after_failure(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Reply with an error: the request is settled, but its caller still waits."""
        event = decode(record.value or b"")
        if not isinstance(event, RequestSettled) or event.request.reply_to is None:
            return ()
        reply_to = event.request.reply_to
        if not self._deduplicator.is_first(reply_key(event, reply_to), (record.partition, record.offset)):
            return ()
        failed = settle_internal_error(event.request, event.settled_at)
        return (build_reply(failed, reply_to, self._dead_letter_topic, record),)
