from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest
from structlog.testing import capture_logs

from schemas.events.parts import Request
from streams.ingress.replies import stream_buffer as streaming
from streams.ingress.replies.reader import Reply, ReplyChunk
from streams.ingress.replies.stream_buffer import StreamBuffer, StreamBuffers
from tests.factories import make_request


def piece(sequence: int, attempt: int = 1, body: bytes = b"{}", correlation: str = "call") -> ReplyChunk:
    return ReplyChunk("id", correlation, sequence, attempt, body)


def reply(**changes: Any) -> Reply:
    fields: dict[str, Any] = {
        "request_id": "id",
        "correlation": "call",
        "status": 200,
        "outcome": "answered",
        "target": "",
        "retry_after_ms": None,
        "body": b"{}",
        "streamed": True,
    }
    return Reply(**{**fields, **changes})


async def read(stream: StreamBuffer, after: int = -1) -> list[tuple[int, bytes]]:
    return [chunk async for chunk in stream.after(after)]


def asked() -> Request:
    return make_request(request_id="id", tenant="acme")


async def test_reader_receives_buffered_and_new_chunks_until_the_end() -> None:
    stream = StreamBuffer("id", "acme")
    stream.add(piece(0, body=b"a"))
    reading = asyncio.ensure_future(read(stream))
    await asyncio.sleep(0)

    stream.add(piece(1, body=b"b"))
    stream.end(reply())

    assert await reading == [(0, b"a"), (1, b"b")]
    assert stream.failure is None


async def test_resumed_reader_continues_after_its_last_number() -> None:
    stream = StreamBuffer("id", "acme")
    for number in range(4):
        stream.add(piece(number, body=b"%d" % number))
    stream.end(reply())

    assert await read(stream, after=1) == [(2, b"2"), (3, b"3")]


async def test_duplicate_chunk_is_read_once() -> None:
    stream = StreamBuffer("id", "acme")
    for number in (0, 0, 1, 0, 1):
        stream.add(piece(number, body=b"%d" % number))
    stream.end(reply())

    assert await read(stream) == [(0, b"0"), (1, b"1")]


async def test_chunk_of_a_second_attempt_ends_the_stream_with_an_error() -> None:
    stream = StreamBuffer("id", "acme")
    stream.add(piece(0))

    stream.add(piece(0, attempt=2))

    assert stream.ended
    assert stream.failure is not None
    assert orjson.loads(stream.failure)["error"]["code"] == "stream_interrupted"


async def test_failure_after_chunks_is_the_last_event() -> None:
    stream = StreamBuffer("id", "acme")
    stream.add(piece(0))

    stream.end(reply(status=502, outcome="failed", body=b'{"error": {}}'))

    assert stream.failure == b'{"error": {}}'


async def test_answer_without_chunks_is_split_into_chunks() -> None:
    stream = StreamBuffer("id", "acme")
    message = {"role": "assistant", "content": "two words"}
    body = {"id": "x", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}

    stream.end(reply(body=orjson.dumps(body)))

    chunks = [orjson.loads(chunk) for _, chunk in await read(stream)]
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == "two words"
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"


async def test_stream_continues_without_its_client_and_is_found_by_its_tenant_only() -> None:
    streams = StreamBuffers()
    with streams.open("call", asked(), 60):
        streams.add(piece(0, body=b"a"))
    streams.add(piece(1, body=b"b"))
    streams.add(reply())

    found = streams.find("id", "acme")
    assert found is not None
    assert await read(found) == [(0, b"a"), (1, b"b")]
    assert streams.find("id", "other") is None


def keep_stream(streams: StreamBuffers, name: str, tenant: str, size: int, chunks: int = 1) -> None:
    """Receive a whole stream, whose client then disconnects."""
    with streams.open(name, make_request(request_id=name, tenant=tenant), 60):
        for number in range(chunks):
            streams.add(piece(number, body=b"x" * size, correlation=name))
        streams.add(reply(correlation=name))


async def test_oldest_stream_of_a_tenant_is_dropped_beyond_the_limit(monkeypatch: Any) -> None:
    monkeypatch.setattr(streaming, "KEPT_BYTES", 10_000)
    streams = StreamBuffers()
    for number in range(3):
        keep_stream(streams, f"id-{number}", "acme", 2000)

    assert streams.find("id-0", "acme") is None
    assert streams.find("id-2", "acme") is not None


@pytest.mark.parametrize(("size", "chunks"), [(0, 1), (1, 500), (90_000, 1), (2_000_000, 1)])
async def test_tenant_that_floods_pushes_out_no_stream_of_another(monkeypatch: Any, size: int, chunks: int) -> None:
    monkeypatch.setattr(streaming, "KEPT_BYTES", 1_000_000)
    streams = StreamBuffers()
    keep_stream(streams, "paid", "acme", 100_000)

    for number in range(600):
        keep_stream(streams, f"id-{number}", "globex", size, chunks)

    assert streams.find("paid", "acme") is not None
    assert streams.find("id-0", "globex") is None


async def test_stream_without_a_reply_ends_at_its_deadline() -> None:
    streams = StreamBuffers()
    with streams.open("call", asked(), 0.01):
        streams.add(piece(0, body=b"a"))
    stream = streams.find("id", "acme")
    assert stream is not None

    async with asyncio.timeout(5):
        assert await read(stream) == [(0, b"a")]

    assert stream.failure is not None
    assert orjson.loads(stream.failure)["error"]["code"] == "stream_cut"


async def test_answer_that_can_not_be_split_ends_the_stream_without_chunks() -> None:
    stream = StreamBuffer("id", "acme")

    with capture_logs() as lines:
        stream.end(reply(body=b"not json"))

    assert await read(stream) == []
    assert [line["event"] for line in lines] == ["reply.unsplittable"]
