"""Reply: the end of a request goes back to where its caller waits, as an answer or as OpenAI's error object."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence

from connectors.kafka.producer import LARGEST
from schemas import headers
from schemas.codec import UndecodableError, decode
from schemas.events import Failure, ReplyTo, RequestSettled
from schemas.headers import Headers
from schemas.openai import error_body
from schemas.records import Output, Record
from schemas.vectors import unpacked, wants_numbers
from streams.settings import Settings
from streams.stage import DeadLetterError

REMEMBERED = 100_000
"""Replies that a worker remembers, about 20 MB."""
_OK = 200


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


def reply(settled: RequestSettled, reply_to: ReplyTo, else_dead_letter: str, origin: Record) -> Output:
    """Address the end of a request to its caller. Of the request's own headers only the correlation goes along."""
    value = b"" if settled.failure else _answer(settled)
    if len(value) > LARGEST:
        settled = settled.model_copy(update={"outcome": "failed", "failure": _too_large(len(value))})
    return Output(
        reply_to.topic,
        reply_to.key,
        error_body(settled.failure) if settled.failure else value,
        (*((header.name, header.value) for header in reply_to.correlation), *_ours(settled)),
        reply_to.partition,
        else_dead_letter,
        origin=origin,
    )


def _answer(settled: RequestSettled) -> bytes:
    """Write the answer as its caller asked for it."""
    if settled.request.operation == "embeddings" and wants_numbers(settled.input):
        return unpacked(settled.output)
    return settled.output.encode()


def _too_large(size: int) -> Failure:
    """Vectors fit into a record when they are packed, and their numbers written out may not."""
    message = (
        f"the answer has {size} bytes with its numbers written out, and a reply holds {LARGEST}; "
        "ask for encoding_format base64, or for less at once"
    )
    return Failure(
        status=413, type="invalid_request_error", code="answer_too_large", message=message, param="encoding_format"
    )


def _ours(settled: RequestSettled) -> Headers:
    """Say in text headers what a caller needs to know before it reads the value."""
    request, failure = settled.request, settled.failure
    said = {
        headers.REQUEST_ID: request.request_id,
        headers.STATUS: str(failure.status if failure else _OK),
        headers.OUTCOME: settled.outcome,
        "content-type": "application/json",
        "ce_specversion": "1.0",
        "ce_id": f"{request.request_id}/reply",
        "ce_source": "/sluice/reply",
        "ce_type": "sluice.llm.reply.v1",
        "ce_time": headers.rfc3339(settled.settled_at),
    }
    if failure:
        said[headers.ERROR] = failure.code
    if failure and failure.retry_after_ms is not None:
        said[headers.RETRY_AFTER] = str(failure.retry_after_ms)
    if request.stream_topic:
        said[headers.STREAMED] = "true"
    if settled.provider:
        said[headers.SERVED_BY] = f"{settled.provider}/{settled.provider_model}"
    if request.traceparent:
        said["traceparent"] = request.traceparent
    return tuple((name, value.encode()) for name, value in said.items())


def _caller(settled: RequestSettled, reply_to: ReplyTo) -> bytes:
    """Name who waits for what. A caller that asks the same again, later, waits anew."""
    request = settled.request
    correlation = [(header.name, header.value) for header in reply_to.correlation]
    waits = (request.request_id, request.received_at, reply_to.topic, reply_to.partition, reply_to.key, correlation)
    return hashlib.blake2b(repr(waits).encode(), digest_size=16).digest()


class _Replied:
    """The callers that were replied to lately, each with the place of the record that did it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._places: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def first(self, caller: bytes, place: tuple[int, int]) -> bool:
        """Whether the record at this place is the one that replies.

        Read again it replies again: what it wrote the first time may have been lost with the partition.
        """
        if caller in self._places:
            return self._places[caller] == place
        self._places[caller] = place
        if len(self._places) > self._size:
            self._places.popitem(last=False)
        return True
