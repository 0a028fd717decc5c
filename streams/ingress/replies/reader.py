"""Reader of the reply topic, and writer of replies over HTTP. The body of a reply is not parsed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import structlog
from starlette.types import Send

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.kafka.headers import ATTEMPT, OUTCOME, REQUEST_ID, RETRY_AFTER, SEQUENCE, SERVED_BY, STATUS, STREAMED
from schemas.kafka.records import ConsumerRecord
from streams.ingress.errors import internal_error, retry_after
from streams.ingress.requests.reply_address import CORRELATION
from streams.ingress.response_headers import encode_header
from streams.ingress.translators.translator import ApiTranslator


class ReplySource(Protocol):
    """Interface of the consumer of this instance's reply partitions: ``connectors.kafka.PartitionReader``."""

    def __aiter__(self) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Yield new records, fetch by fetch, without end."""
        ...


_log = structlog.get_logger()
_OK = 200
_SERVER_ERROR = 500
_MAX_STATUS = 599


class UnreadableReplyError(ValueError):
    """A record on the reply topic is not a reply of Sluice."""


@frozen_slots
class Reply:
    """One parsed reply."""

    request_id: str
    correlation: str
    status: int
    outcome: str
    target: str
    retry_after_ms: int | None
    body: bytes
    streamed: bool = False
    """True if the answer was requested as a stream."""


@frozen_slots
class ReplyChunk:
    """One parsed chunk of a streamed answer."""

    request_id: str
    correlation: str
    sequence: int
    attempt: int
    body: bytes


def parse_reply(record: ConsumerRecord) -> Reply | ReplyChunk:
    """Parse a reply, or a chunk that precedes it.

    Raises:
        UnreadableReplyError: a header that every reply has is missing, or is not text or a number.

    """
    headers = dict(record.headers)
    try:
        if SEQUENCE in headers:
            return ReplyChunk(
                request_id=_text(headers, REQUEST_ID),
                correlation=_text(headers, CORRELATION),
                sequence=int(_text(headers, SEQUENCE)),
                attempt=int(_text(headers, ATTEMPT)),
                body=record.value or b"",
            )
        retry_after = _text(headers, RETRY_AFTER)
        return Reply(
            request_id=_text(headers, REQUEST_ID),
            correlation=_text(headers, CORRELATION),
            status=_status(_text(headers, STATUS)),
            outcome=_text(headers, OUTCOME),
            target=(headers.get(SERVED_BY) or b"").decode("utf-8", "replace"),
            retry_after_ms=int(retry_after) if retry_after else None,
            body=record.value or b"",
            streamed=STREAMED in headers,
        )
    except ValueError as error:
        message = f"record {record.position} is not a reply ({type(error).__name__})"
        raise UnreadableReplyError(message) from error


def _text(headers: dict[str, bytes | None], name: str) -> str:
    return (headers.get(name) or b"").decode()


def _status(text: str) -> int:
    """Return the status; 500 for a number that HTTP does not have, because the caller needs a response."""
    status = int(text)
    return status if _OK <= status <= _MAX_STATUS else _SERVER_ERROR


def translate_reply(reply: Reply, translator: ApiTranslator, original_body: bytes) -> bytes:
    """Return the body of a reply in the format of the client's API.

    Raises:
        ApiError: 500, the reply can't be translated. Its answer may have been paid for, so a client must not retry.

    """
    try:
        if reply.status == _OK:
            return translator.from_completion(reply.body, original_body)
        return translator.from_error(reply.body)
    except Exception as error:
        _log.error("reply.untranslatable", request_id=reply.request_id, error=type(error).__name__)
        message = f"The reply can't be translated. GET /v1/requests/{reply.request_id} returns it untranslated."
        raise internal_error(message) from error


async def send_reply(send: Send, reply: Reply, translator: ApiTranslator, original_body: bytes) -> None:
    """Send a reply to the client, in the format of its API.

    Raises:
        ApiError: 500, the reply can't be translated.

    """
    body = translate_reply(reply, translator, original_body)
    await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply, len(body))})
    await send({"type": "http.response.body", "body": body})


def _headers(reply: Reply, size: int) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(size).encode()),
        (b"x-sluice-outcome", encode_header(reply.outcome)),
    ]
    if reply.target:
        headers.append((b"x-sluice-target", encode_header(reply.target)))
    if reply.retry_after_ms is not None:
        headers.extend((name.encode(), value.encode()) for name, value in retry_after(reply.retry_after_ms).items())
    elif reply.status >= _SERVER_ERROR:
        # The call stage has made all useful retries; another retry by the client would be paid again.
        headers.append((b"x-should-retry", b"false"))
    return headers


async def consume_replies(replies: ReplySource, deliver: Callable[[Reply | ReplyChunk], None]) -> None:
    """Deliver every reply and chunk until cancelled. A record that can't be delivered is logged and skipped."""
    async for records in replies:
        for record in records:
            try:
                deliver(parse_reply(record))
            except UnreadableReplyError as error:
                _log.warning("reply.unreadable", reason=str(error))
            except Exception as error:  # noqa: BLE001 - an error with one reply must not affect others
                _log.error("reply.undelivered", position=record.position, error=type(error).__name__)
