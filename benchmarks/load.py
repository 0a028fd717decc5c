"""Load: closed loop (so many always in flight) and open loop (so many a second, whatever comes back).

The client is as thin as one can be, since it shares the machine with what it measures. Open-loop latency counts from
when a request was due, so that a stall of the gateway is not hidden by a client that waits for it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.connection import Connection

_OK = 200

Ask = Callable[[Connection], Awaitable[float]]
"""Asks once; when the answer was there, by the performance counter. Raises ``NoAnswerError`` if it is none."""


class NoAnswerError(Exception):
    """What came is no answer that counts. The message says what it is."""


@dataclass(slots=True)
class Outcome:
    """What a run of load saw."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    """What came instead of answers, and how often."""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """In milliseconds; not a number if nothing was answered."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def whole(connection: Connection) -> float:
    """Ask for an answer in one piece."""
    status = await connection.ask()
    if status != _OK:
        raise NoAnswerError(f"HTTP {status}")
    return time.perf_counter()


async def _timed(ask: Ask, connection: Connection, outcome: Outcome, due: float) -> None:
    try:
        answered = await ask(connection)
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:
        connection.close()  # the next request opens it again
        outcome.errors[type(error).__name__] += 1
    except NoAnswerError as error:
        outcome.errors[str(error)] += 1
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
