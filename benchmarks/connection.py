"""One HTTP/1.1 connection that is kept alive, on bare streams: a usual client would need more CPU than the ingress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

MOST_BYTES = 4 * 1024 * 1024
"""What is held of a stream that is read to its end."""


class Connection:
    """Asks the same thing again and again. It is opened by the first request, and by the first after ``close``."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._asks = url, body, headers
        parts = urlsplit(url)
        assert parts.hostname
        self._address = (parts.hostname, parts.port or 80)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n{extra}"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def again(self) -> Connection:
        """Another one that asks the same."""
        return Connection(*self._asks)

    async def ask(self) -> int:
        """Send the request, read the answer; its status.

        Raises:
            OSError, EOFError, asyncio.LimitOverrunError: the connection is of no more use, until it is closed.

        """
        reader = await self._send()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await _body(reader, head)
        return int(head.split(maxsplit=2)[1])

    async def stream(self) -> tuple[float, bytes]:
        """Send a request for a stream, read it to its end; when its first event came, and all events as they came.

        Raises:
            OSError, EOFError, asyncio.LimitOverrunError: as ``ask``; EOFError too if the answer is no stream.

        """
        reader = await self._send()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise EOFError("no stream")
        begin = await reader.readuntil(b"data:")
        first = time.perf_counter()
        events = begin + await reader.readuntil(b"data: [DONE]")
        await reader.readuntil(b"0\r\n\r\n")
        return first, events

    async def _send(self) -> asyncio.StreamReader:
        if self._line is None:
            self._line = await asyncio.open_connection(*self._address, limit=MOST_BYTES)
        reader, writer = self._line
        writer.write(self._request)
        return reader

    def close(self) -> None:
        if self._line is not None:
            self._line[1].close()
            self._line = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Read a body with a length, or in chunks of which the last is empty."""
    _, counted, rest = head.partition(b"\r\ncontent-length:")
    if counted:
        await reader.readexactly(int(rest[: rest.index(b"\r\n")]))
    else:
        await reader.readuntil(b"0\r\n\r\n")
