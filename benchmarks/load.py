"""Load: closed loop (so many always in flight) and open loop (so many a second, whatever comes back).

The client is as thin as one can be, since it shares the machine with what it measures. Open-loop latency counts from
when a request was due, so that a stall of the gateway is not hidden by a client that waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.connection import Connection

Ask = Callable[[Connection], Awaitable[float | None]]
"""Asks once; when the answer was there, by the performance counter, or None if it was none that counts."""


@dataclass(slots=True)
class Outcome:
    """What a run of load saw."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """In milliseconds; not a number if nothing was answered."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def whole(connection: Connection) -> float | None:
    """Ask for an answer in one piece."""
    return time.perf_counter() if await connection.ask() else None


async def _timed(ask: Ask, connection: Connection, outcome: Outcome, due: float) -> None:
    try:
        answered = await ask(connection)
    except (OSError, EOFError, asyncio.LimitOverrunError):
        connection.close()  # the next request opens it again
        answered = None
    if answered is None:
        outcome.errors += 1
    else:
        outcome.latencies_ms.append((answered - due) * 1000)


async def closed(make: Callable[[], Connection], in_flight: int, seconds: float, ask: Ask = whole) -> Outcome:
    """So many connections, each of which asks again as soon as it has its answer."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def one() -> None:
        connection = make()
        while time.perf_counter() < end:
            await _timed(ask, connection, outcome, time.perf_counter())
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(in_flight)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def opened(make: Callable[[], Connection], rate: float, seconds: float, ask: Ask = whole) -> Outcome:
    """A request every 1/rate seconds, on a free connection or a new one."""
    outcome, free, tasks = Outcome(), list[Connection](), set[asyncio.Task[None]]()

    async def one(due: float) -> None:
        connection = free.pop() if free else make()
        await _timed(ask, connection, outcome, due)
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
