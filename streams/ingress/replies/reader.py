"""Replies as they come off the log, and as they go out over HTTP: the body is not touched on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Protocol

import structlog
from starlette.types import Send

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.kafka.headers import ATTEMPT, OUTCOME, REQUEST_ID, RETRY_AFTER, SEQUENCE, SERVED_BY, STATUS, STREAMED
from schemas.kafka.records import ConsumerRecord
from streams.ingress.errors import retry_after
from streams.ingress.requests.reply_address import CORRELATION
from streams.ingress.translators.translator import ApiTranslator


class ReplySource(Protocol):
    """The reading end, assigned to this instance's reply partitions: ``connectors.kafka.Reader``."""

    def __aiter__(self) -> AsyncIterator[Sequence[ConsumerRecord]]:
        """Whatever comes in from now on, fetch by fetch, without end."""
        ...


_log = structlog.get_logger()
_OK = 200
_SERVER_ERROR = 500


class UnreadableReplyError(ValueError):
    """A record on the reply topic is no reply of ours. The message says what is wrong with it."""


@frozen_slots
class Reply:
    """One reply, read."""

    request_id: str
    correlation: str
    status: int
    outcome: str
    target: str
    retry_after_ms: int | None
    body: bytes
    streamed: bool = False
    """Whether the answer was asked for in chunks."""


@frozen_slots
class ReplyChunk:
    """One chunk of a streamed answer, read."""

    request_id: str
    correlation: str
    sequence: int
    attempt: int
    body: bytes


def parse_reply(record: ConsumerRecord) -> Reply | ReplyChunk:
    """The reply in a record, or a chunk that comes before it.

    Raises:
        UnreadableReplyError: a header that every reply has is missing, or is no text or number.

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
            status=int(_text(headers, STATUS)),
            outcome=_text(headers, OUTCOME),
            target=_text(headers, SERVED_BY),
            retry_after_ms=int(retry_after) if retry_after else None,
            body=record.value or b"",
            streamed=STREAMED in headers,
        )
    except ValueError as error:
        place = record.position
        raise UnreadableReplyError(f"{place} is no reply of ours ({type(error).__name__})") from error


def _text(headers: dict[str, bytes | None], name: str) -> str:
    return (headers.get(name) or b"").decode()


async def send_reply(send: Send, reply: Reply, front: ApiTranslator, asked: bytes) -> None:
    """Answer the caller, who asked with this body."""
    body = front.from_completion(reply.body, asked) if reply.status == _OK else front.from_error(reply.body)
    await send({"type": "http.response.start", "status": reply.status, "headers": _headers(reply, len(body))})
    await send({"type": "http.response.body", "body": body})


def _headers(reply: Reply, size: int) -> list[tuple[bytes, bytes]]:
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(size).encode()),
        (b"x-sluice-outcome", reply.outcome.encode("latin-1", "replace")),
    ]
    if reply.target:
        headers.append((b"x-sluice-target", reply.target.encode("latin-1", "replace")))
    if reply.retry_after_ms is not None:
        headers.extend((name.encode(), value.encode()) for name, value in retry_after(reply.retry_after_ms).items())
    elif reply.status >= _SERVER_ERROR:
        # The call stage has tried all that makes sense; a client that tries again on its own pays again.
        headers.append((b"x-should-retry", b"false"))
    return headers


async def consume_replies(replies: ReplySource, deliver: Callable[[Reply | ReplyChunk], None]) -> None:
    """Hand every reply and chunk to whoever waits for it, until cancelled. What can't be is logged and passed over."""
    async for records in replies:
        for record in records:
            try:
                deliver(parse_reply(record))
            except UnreadableReplyError as error:
                _log.warning("reply.unreadable", reason=str(error))
            except Exception as error:  # noqa: BLE001 - whatever one reply does to its waiter, the others get theirs
                place = record.position
                _log.error("reply.undelivered", place=place, error=type(error).__name__)
