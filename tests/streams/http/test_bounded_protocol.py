"""Malformed, oversized and slow HTTP requests, as bytes on a real socket."""

from __future__ import annotations

import asyncio
import importlib.metadata
import re
import tomllib
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest
import pytest_asyncio

from streams.http import bounded_protocol
from tests.eventually import eventually
from tests.streams.ingress.fake_log import StageAnswer
from tests.streams.ingress.gateway import CHAT, RunningGateway, on_socket

BODY = orjson.dumps(CHAT)
POST = b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
CHUNKS = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
HEALTHZ = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

MALFORMED = {
    "a length and chunks": POST + LENGTH + CHUNKED + b"\r\n" + CHUNKS,
    "chunks and a length": POST + CHUNKED + LENGTH + b"\r\n" + CHUNKS,
    "a request within a request": POST + b"Content-Length: 4\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HEALTHZ,
    "two equal lengths": POST + LENGTH + LENGTH + b"\r\n" + BODY,
    "two lengths": POST + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY,
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\n" + BODY,
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\n" + BODY,
    "a negative length": POST + b"Content-Length: -1\r\n\r\n" + BODY,
    "an enormous length": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\n" + BODY,
    "chunks twice": POST + CHUNKED + CHUNKED + b"\r\n" + CHUNKS,
    "chunks and then something": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n" + CHUNKS,
    "an encoding that is almost chunked": POST + b"Transfer-Encoding: xchunked\r\n\r\n" + CHUNKS,
    "a tab of another kind": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n" + CHUNKS,
    "bare line feeds": (POST + LENGTH).replace(b"\r\n", b"\n") + b"\n" + BODY,
    "a line feed in a header": POST + b"X: a\nTransfer-Encoding: chunked\r\n" + LENGTH + b"\r\n" + BODY,
    "a carriage return in a header": POST + b"X: a\rContent-Length: 5\r\n" + LENGTH + b"\r\n" + BODY,
    "a zero byte in a header": POST + b"X: a\0b\r\n" + LENGTH + b"\r\n" + BODY,
    "a folded header": POST + b"X: a\r\n b\r\n" + LENGTH + b"\r\n" + BODY,
    "line feeds around a chunk": POST + CHUNKED + b"\r\n" + CHUNKS.replace(b"\r\n", b"\n"),
    "an enormous chunk": POST + CHUNKED + b"\r\n10000000000000001\r\n" + BODY,
    "two hosts": POST + b"Host: example.org\r\n" + LENGTH + b"\r\n" + BODY,
    "no host": b"GET /healthz HTTP/1.1\r\n\r\n",
    "another version": b"GET /healthz HTTP/3.9\r\nHost: localhost\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"a" * 100,
    "bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
}
TOO_LARGE = {
    "one header": POST + b"X: " + b"a" * 70_000 + b"\r\n\r\n",
    "one header without end": POST + b"X: " + b"a" * 400_000,
    "a name without end": POST + b"a" * 400_000,
    "many headers": POST + b"".join(b"X%d: a\r\n" % number for number in range(10_000)) + b"\r\n",
    "the path": b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest_asyncio.fixture
async def server() -> AsyncIterator[RunningGateway]:
    async with on_socket() as running_gateway:
        yield running_gateway


def code_of(received: bytes) -> tuple[int, str]:
    (status,) = re.findall(rb"HTTP/1.1 (\d+)", received)
    return int(status), orjson.loads(received.partition(b"\r\n\r\n")[2])["error"]["code"]


@pytest.mark.parametrize("attack", MALFORMED)
async def test_ambiguous_request_is_refused_once_and_the_rest_is_ignored(server: RunningGateway, attack: str) -> None:
    received = await server.exchange(MALFORMED[attack] + HEALTHZ)

    assert code_of(received) == (400, "malformed_request")
    assert server.gateway.log.written == []
    assert await server.serves_others()


@pytest.mark.parametrize("attack", TOO_LARGE)
async def test_headers_that_are_too_large_are_refused(server: RunningGateway, attack: str) -> None:
    received = await server.exchange(TOO_LARGE[attack])

    assert code_of(received) == (431, "headers_too_large")
    assert await server.serves_others()


async def test_pipelined_requests_do_not_count_as_one_large_head(
    server: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_protocol, "MAX_HEAD_BYTES", 3 * len(HEALTHZ))
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    writer.write(HEALTHZ * 9 + HEALTHZ[:-3])
    async with asyncio.timeout(10):
        for _ in range(9):
            await reader.readuntil(b"HTTP/1.1 200 ")
        writer.write(HEALTHZ[-3:])
        await reader.readuntil(b"HTTP/1.1 200 ")
    writer.close()


async def test_connection_with_more_pipelined_requests_than_the_limit_is_closed(server: RunningGateway) -> None:
    server.gateway.log.answers = lambda _: None
    waiting = POST + LENGTH + b"\r\n" + BODY

    received = await server.exchange(waiting + HEALTHZ * (bounded_protocol.MAX_PIPELINED + 1))

    assert received == b""
    assert await server.serves_others()


async def test_pipelined_requests_up_to_the_limit_are_answered_in_order(server: RunningGateway) -> None:
    closing = HEALTHZ.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")

    received = await server.exchange(HEALTHZ * bounded_protocol.MAX_PIPELINED + closing)

    assert received.count(b"HTTP/1.1 200 ") == bounded_protocol.MAX_PIPELINED + 1


@pytest.mark.parametrize("sent", [b"", b"P", POST, HEALTHZ + b"GET"], ids=["nothing", "a letter", "a head", "a second"])
async def test_headers_that_do_not_end_time_out(
    server: RunningGateway, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_protocol, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(bounded_protocol, "IDLE_TIMEOUT_S", 0.2)

    received = await server.exchange(sent)

    assert received.count(b"HTTP/1.1 408 ") == (1 if sent else 0)
    assert await server.serves_others()


async def test_client_that_reads_no_response_is_disconnected(
    server: RunningGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_protocol, "WRITE_STALL_TIMEOUT_S", 0.2)
    server.gateway.log.answers = lambda _: StageAnswer(body=b'{"n":"' + b"a" * 30_000_000 + b'"}')
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1024)

    writer.write(POST + LENGTH + b"\r\n" + BODY)
    await eventually(lambda: server.gateway.log.written)
    await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)

    assert await server.serves_others()
    await eventually(lambda: not server.has_connection_from(writer.get_extra_info("sockname")[1]))
    writer.close()


async def test_upgrade_request_is_answered_without_upgrade(server: RunningGateway) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

    received = await server.exchange(POST + upgrade + LENGTH + b"\r\n" + BODY)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert len(server.gateway.log.written) == 1


async def test_connection_is_closed_after_a_body_refused_before_its_end(server: RunningGateway) -> None:
    compressed = POST + b"Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + b"a" * 10

    received = await server.exchange(compressed)

    assert code_of(received)[0] == 415


async def test_http_1_0_request_needs_no_host_header(server: RunningGateway) -> None:
    assert (await server.exchange(b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_chunk_extensions_and_trailers_are_ignored(server: RunningGateway) -> None:
    ending = b"0\r\nAuthorization: Bearer sk-nobody\r\n\r\n"
    extended = b"%x;name=value\r\n%s\r\n" % (len(BODY), BODY)

    received = await server.exchange(POST + CHUNKED + b"Connection: close\r\n\r\n" + extended + ending)

    assert received.startswith(b"HTTP/1.1 200 ")
    assert b"sk-nobody" not in server.gateway.log.written[0].value  # type: ignore[operator]


def test_uvicorn_is_pinned_to_the_installed_version_because_its_private_names_are_used() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())["project"]
    (pinned,) = [line for line in project["dependencies"] if line.startswith("uvicorn")]

    assert pinned == f"uvicorn=={importlib.metadata.version('uvicorn')}"
