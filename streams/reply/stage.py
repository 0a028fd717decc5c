"""Reply: the end of a request goes back to where its caller waits, as an answer or as OpenAI's error object."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.avro.codec import UndecodableError, decode
from schemas.events.catalog import RequestSettled
from schemas.kafka.records import Output, Record
from streams.config.settings import Settings
from streams.pipeline.stage import DeadLetterError
from streams.reply.deduplication import REMEMBERED, _caller, _Replied
from streams.reply.message import reply


class ReplyStage:
    """The stage: ``RequestSettled`` in, one reply out if somebody waits.

    A call stage that crashes may settle a request twice: two records, one reply. What stays possible is a crash of this
    worker between a reply and its commit: then the same record is read again, and replied to again.
    """

    name = "reply"

    def __init__(self, settings: Settings, remembered: int = REMEMBERED) -> None:
        self._dead_letters = settings.topics.outcomes.dead_letters
        self._replied = _Replied(remembered)

    def handle(self, record: Record) -> Sequence[Output]:
        """Write the reply, once for every request and caller."""
        try:
            event = decode(record.value or b"")
        except UndecodableError as error:
            raise DeadLetterError(str(error)) from error
        if not isinstance(event, RequestSettled):
            raise DeadLetterError(f"{type(event).__name__} does not belong on {record.topic}")
        reply_to = event.request.reply_to
        if reply_to is None or not self._replied.first(_caller(event, reply_to), (record.partition, record.offset)):
            return []
        return [reply(event, reply_to, self._dead_letters, record)]
