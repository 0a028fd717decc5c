from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import orjson
import pytest
from starlette.types import Message

from schemas.kafka.records import ConsumerRecord
from streams.ingress.replies.reader import (
    Reply,
    ReplyChunk,
    UnreadableReplyError,
    consume_replies,
    parse_reply,
    send_reply,
)
from streams.ingress.translators.translator import OpenAITranslator

RECORD = ConsumerRecord(
    topic="llm.replies.ingress.v1",
    partition=1,
    offset=7,
    timestamp_ms=0,
    key=b"r",
    value=b'{"a": 1}',
    headers=(
        ("correlation-id", b"c"),
        ("request_id", b"r"),
        ("sluice-status", b"200"),
        ("sluice-outcome", b"answered"),
        ("sluice-target", b"sim/echo"),
    ),
)


def a_reply() -> Reply:
    reply = parse_reply(RECORD)
    assert isinstance(reply, Reply)
    return reply


async def sent(reply: Reply) -> tuple[int, dict[bytes, bytes], bytes]:
    messages: list[Message] = []

    async def send(message: Message) -> None:
        messages.append(message)

    await send_reply(send, reply, OpenAITranslator(), b"")
    start, body = messages
    return start["status"], dict(start["headers"]), body["body"]


async def test_reply_is_sent_with_its_body_unchanged() -> None:
    status, headers, body = await sent(a_reply())

    assert (status, body) == (200, b'{"a": 1}')
    assert headers == {
        b"content-type": b"application/json",
        b"content-length": b"8",
        b"x-sluice-outcome": b"answered",
        b"x-sluice-target": b"sim/echo",
    }


async def test_retry_after_is_sent_in_seconds_and_milliseconds() -> None:
    _, headers, _ = await sent(replace(a_reply(), status=503, retry_after_ms=1200))

    assert (headers[b"retry-after"], headers[b"retry-after-ms"]) == (b"2", b"1200")
    assert b"x-should-retry" not in headers


async def test_failure_without_retry_after_has_x_should_retry_false() -> None:
    _, headers, _ = await sent(replace(a_reply(), status=502, outcome="failed"))

    assert headers[b"x-should-retry"] == b"false"


def test_record_with_a_sequence_is_a_chunk() -> None:
    numbered = replace(RECORD, headers=(*RECORD.headers, ("sluice-sequence", b"3"), ("sluice-attempt", b"1")))

    assert parse_reply(numbered) == ReplyChunk("r", "c", 3, 1, b'{"a": 1}')


@pytest.mark.parametrize(
    "header", [("sluice-status", b"ok"), ("sluice-status", None), ("request_id", b"\xff"), ("retry-after-ms", b"soon")]
)
def test_error_of_an_unreadable_reply_names_its_position(header: tuple[str, bytes | None]) -> None:
    with pytest.raises(UnreadableReplyError, match=r"llm\.replies\.ingress\.v1/1/7"):
        parse_reply(replace(RECORD, headers=(*RECORD.headers, header)))


async def test_unreadable_reply_does_not_affect_other_replies() -> None:
    class Two:
        async def __aiter__(self) -> AsyncIterator[list[ConsumerRecord]]:
            yield [replace(RECORD, headers=()), RECORD]

    delivered: list[Reply | ReplyChunk] = []

    await consume_replies(Two(), delivered.append)

    assert [reply.correlation for reply in delivered] == ["c"]


async def test_undeliverable_reply_does_not_affect_other_replies() -> None:
    class Two:
        async def __aiter__(self) -> AsyncIterator[list[ConsumerRecord]]:
            yield [replace(RECORD, value=b"no answer"), RECORD]

    delivered: list[object] = []
    await consume_replies(Two(), lambda reply: delivered.append(orjson.loads(reply.body)))

    assert len(delivered) == 1
