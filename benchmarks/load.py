"""Load: closed loop (so many always in flight) and open loop (so many a second, whatever comes back).

The client is as thin as one can be, since it shares the machine with what it measures. Open-loop latency counts from
when a request was due, so that a stall of the gateway is not hidden by a client that waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(slots=True)
class Outcome:
    """What a run of load saw."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_ms) / self.seconds

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


class Connection:
    """One HTTP/1.1 connection that is kept alive."""

    def __init__(self, url: str, body: bytes, headers: dict[str, str] | None = None) -> None:
        parts = urlsplit(url)
        assert parts.hostname
        self._address = (parts.hostname, parts.port or 80)
        extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n{extra}"
        self._request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self) -> bool:
        """Send the request, read the answer; whether it was a 200."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        self._writer.write(self._request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        at = lower.index(b"content-length:")
        await self._reader.readexactly(int(lower[at + 15 : lower.index(b"\r\n", at)]))
        return head.startswith(b"HTTP/1.1 200")

    async def first_event(self) -> float:
        """Send a request for a stream, read it to its end; when its first event came, by the performance counter."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(*self._address)
        self._writer.write(self._request)
        await self._reader.readuntil(b"\r\n\r\n")
        await self._reader.readuntil(b"data:")
        first = time.perf_counter()
        await self._reader.readuntil(b"data: [DONE]")
        await self._reader.readuntil(b"0\r\n\r\n")
        return first

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


Ask = Callable[[], Awaitable[bool]]


async def _timed(ask: Ask, outcome: Outcome, due: float) -> None:
    try:
        ok = await ask()
    except (OSError, asyncio.IncompleteReadError):
        ok = False
    if ok:
        outcome.latencies_ms.append((time.perf_counter() - due) * 1000)
    else:
        outcome.errors += 1


async def closed(connections: list[Connection], seconds: float) -> Outcome:
    """Every connection asks again as soon as it has its answer."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def one(connection: Connection) -> None:
        while time.perf_counter() < end:
            await _timed(connection.ask, outcome, time.perf_counter())

    started = time.perf_counter()
    await asyncio.gather(*(one(connection) for connection in connections))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def opened(make: Callable[[], Connection], rate: float, seconds: float) -> Outcome:
    """A request every 1/rate seconds, on a free connection or a new one."""
    outcome, free, tasks = Outcome(), list[Connection](), set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        connection = free.pop() if free else make()
        await _timed(connection.ask, outcome, due)
        free.append(connection)

    started = time.perf_counter()
    for number in range(int(rate * seconds)):
        due = started + number / rate
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    outcome.seconds = time.perf_counter() - started
    for connection in free:
        connection.close()
    return outcome
