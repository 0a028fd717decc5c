"""Attacks on HTTP itself, as bytes on a real socket."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import orjson
import psutil
import pytest
import pytest_asyncio

from streams.config.settings import Settings
from streams.http import bounded_protocol as http_protocol
from streams.ingress.server import bound, live
from tests.eventually import eventually
from tests.streams.ingress.fake_log import Telling
from tests.streams.ingress.gateway import CHAT, Gateway

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
    "a length beyond all": POST + b"Content-Length: 99999999999999999999\r\n\r\n" + BODY,
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
    "a chunk beyond all": POST + CHUNKED + b"\r\n10000000000000001\r\n" + BODY,
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


@dataclass
class Door:
    """A gateway behind a socket."""

    gateway: Gateway
    port: int

    async def hear(self, text: bytes, within_s: float = 10) -> bytes:
        """Say this, and hear until the gateway hangs up."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        heard = b""
        with contextlib.suppress(ConnectionError):
            writer.write(text)
            async with asyncio.timeout(within_s):
                while chunk := await reader.read(65536):
                    heard += chunk
        writer.close()
        return heard

    def holds(self, port: int) -> bool:
        """Whether the connection from this port is still there, on the gateway's side."""
        connections = psutil.Process().net_connections("tcp")
        return any(each.laddr.port == self.port and each.raddr and each.raddr.port == port for each in connections)

    async def is_well(self) -> bool:
        """Whether others are served."""
        heard = await self.hear(HEALTHZ.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        return heard.startswith(b"HTTP/1.1 200 ")


@pytest_asyncio.fixture
async def door() -> AsyncIterator[Door]:
    gateway = Gateway(Settings.model_validate({"http": {"port": 0}}))
    stop = asyncio.Event()
    with bound(gateway.settings.http) as listener:
        task = asyncio.create_task(live(gateway.ingress, gateway.log, listener, stop))
        yield Door(gateway, listener.getsockname()[1])
        stop.set()
        gateway.ingress.abort_all()
        async with asyncio.timeout(20):
            await asyncio.gather(task, return_exceptions=True)


def code_of(heard: bytes) -> tuple[int, str]:
    (status,) = re.findall(rb"HTTP/1.1 (\d+)", heard)
    return int(status), orjson.loads(heard.partition(b"\r\n\r\n")[2])["error"]["code"]


@pytest.mark.parametrize("attack", MALFORMED)
async def test_what_two_servers_could_read_in_two_ways_is_refused_once_and_no_more_is_read(
    door: Door, attack: str
) -> None:
    heard = await door.hear(MALFORMED[attack] + HEALTHZ)

    assert code_of(heard) == (400, "malformed_request")
    assert door.gateway.log.written == []
    assert await door.is_well()


@pytest.mark.parametrize("attack", TOO_LARGE)
async def test_a_head_that_is_too_large_is_refused(door: Door, attack: str) -> None:
    heard = await door.hear(TOO_LARGE[attack])

    assert code_of(heard) == (431, "headers_too_large")
    assert await door.is_well()


async def test_requests_at_once_are_no_large_head_though_a_read_ends_within_one(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "MAX_HEAD_BYTES", 3 * len(HEALTHZ))
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)

    writer.write(HEALTHZ * 9 + HEALTHZ[:-3])
    async with asyncio.timeout(10):
        for _ in range(9):
            await reader.readuntil(b"HTTP/1.1 200 ")
        writer.write(HEALTHZ[-3:])
        await reader.readuntil(b"HTTP/1.1 200 ")
    writer.close()


@pytest.mark.parametrize("said", [b"", b"P", POST, HEALTHZ + b"GET"], ids=["nothing", "a letter", "a head", "a second"])
async def test_a_head_that_does_not_end_is_given_up(door: Door, said: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.2)
    monkeypatch.setattr(http_protocol, "IDLE_TIMEOUT_S", 0.2)

    heard = await door.hear(said)

    assert heard.count(b"HTTP/1.1 408 ") == (1 if said else 0)
    assert await door.is_well()


async def test_who_reads_nothing_of_a_response_is_hung_up_on_and_others_go_on(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "WRITE_STALL_TIMEOUT_S", 0.2)
    door.gateway.log.answers = lambda _: Telling(body=b'{"n":"' + b"a" * 30_000_000 + b'"}')
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port, limit=1024)

    writer.write(POST + LENGTH + b"\r\n" + BODY)
    await eventually(lambda: door.gateway.log.written)
    await asyncio.wait_for(reader.readuntil(b"\r\n"), 10)

    assert await door.is_well()
    await eventually(lambda: not door.holds(writer.get_extra_info("sockname")[1]))
    writer.close()


async def test_a_request_to_upgrade_is_answered_as_the_request_that_it_is(door: Door) -> None:
    upgrade = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"

    heard = await door.hear(POST + upgrade + LENGTH + b"\r\n" + BODY)

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert len(door.gateway.log.written) == 1


async def test_behind_a_body_that_was_refused_half_way_nothing_more_is_read(door: Door) -> None:
    compressed = POST + b"Content-Encoding: gzip\r\nContent-Length: 1000\r\n\r\n" + b"a" * 10

    heard = await door.hear(compressed)

    assert code_of(heard)[0] == 415


async def test_http_1_0_needs_no_host(door: Door) -> None:
    assert (await door.hear(b"GET /healthz HTTP/1.0\r\n\r\n")).startswith(b"HTTP/1.1 200 ")


async def test_chunk_extensions_and_trailers_are_passed_over(door: Door) -> None:
    ending = b"0\r\nAuthorization: Bearer sk-nobody\r\n\r\n"
    extended = b"%x;name=value\r\n%s\r\n" % (len(BODY), BODY)

    heard = await door.hear(POST + CHUNKED + b"Connection: close\r\n\r\n" + extended + ending)

    assert heard.startswith(b"HTTP/1.1 200 ")
    assert b"sk-nobody" not in door.gateway.log.written[0].value  # type: ignore[operator]
