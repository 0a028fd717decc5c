"""Keep-alive HTTP/1.1 connection on asyncio streams, because a usual client needs more CPU than the ingress."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from urllib.parse import urlsplit

MAX_BYTES = 4 * 1024 * 1024
"""Maximum size of a buffered stream."""


class Connection:
    """Sends the same request repeatedly. The first request, and the first after ``close``, opens the connection."""

    def __init__(self, url: str, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self._arguments = url, body, headers
        parts = urlsplit(url)
        assert parts.hostname
        self._address = (parts.hostname, parts.port or 80)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n{extra}"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    def clone(self) -> Connection:
        """Return another connection with the same request."""
        return Connection(*self._arguments)

    async def send(self) -> int:
        """Send the request, read the response, and return its status.

        Raises:
            OSError, EOFError, asyncio.LimitOverrunError: the connection is broken and must be closed.

        """
        reader = await self._write()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await _body(reader, head)
        return int(head.split(maxsplit=2)[1])

    async def stream(self) -> tuple[float, bytes]:
        """Send a streaming request and read it to its end; return the time of the first event, and all events.

        Raises:
            OSError, EOFError, asyncio.LimitOverrunError: as ``send``; EOFError also if the response is not a stream.

        """
        reader = await self._write()
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        if not head.startswith(b"http/1.1 200"):
            raise EOFError("not a stream")
        begin = await reader.readuntil(b"data:")
        first = time.perf_counter()
        events = begin + await reader.readuntil(b"data: [DONE]")
        await reader.readuntil(b"0\r\n\r\n")
        return first, events

    async def _write(self) -> asyncio.StreamReader:
        if self._streams is None:
            self._streams = await asyncio.open_connection(*self._address, limit=MAX_BYTES)
        reader, writer = self._streams
        writer.write(self._request)
        return reader

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _body(reader: asyncio.StreamReader, head: bytes) -> None:
    """Read a body with a length, or in chunks."""
    _, counted, rest = head.partition(b"\r\ncontent-length:")
    if counted:
        await reader.readexactly(int(rest[: rest.index(b"\r\n")]))
    else:
        await reader.readuntil(b"0\r\n\r\n")
