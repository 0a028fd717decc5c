"""Load generators: closed loop (constant number in flight) and open loop (constant rate).

The client does little work, because it shares the machine with the gateway. Open-loop latency is measured from the
time at which a request was due, so that a stall of the gateway is not hidden (coordinated omission).
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from benchmarks.connection import Connection

_OK = 200

SendRequest = Callable[[Connection], Awaitable[float]]
"""Sends one request; returns the performance counter at its answer. Raises ``NoAnswerError`` for any other response."""


class NoAnswerError(Exception):
    """The response is not a valid answer. The message is the kind of error."""


@dataclass(slots=True)
class Outcome:
    """Latencies and errors of a load."""

    latencies_ms: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)
    """Number of each kind of error."""
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Answered requests per second."""
        return len(self.latencies_ms) / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return a percentile in milliseconds; NaN without an answer."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


async def send_whole(connection: Connection) -> float:
    """Send a request without streaming."""
    status = await connection.send()
    if status != _OK:
        raise NoAnswerError(f"HTTP {status}")
    return time.perf_counter()


async def _measure(send: SendRequest, connection: Connection, outcome: Outcome, due: float) -> None:
    try:
        answered = await send(connection)
    except (OSError, EOFError, asyncio.LimitOverrunError) as error:
        connection.close()  # the next request opens it again
        outcome.errors[type(error).__name__] += 1
    except NoAnswerError as error:
        outcome.errors[str(error)] += 1
    else:
        outcome.latencies_ms.append((answered - due) * 1000)


async def closed_loop(
    connect: Callable[[], Connection], in_flight: int, seconds: float, send: SendRequest = send_whole
) -> Outcome:
    """Run ``in_flight`` connections that each send the next request after the answer to the last one."""
    outcome, end = Outcome(), time.perf_counter() + seconds

    async def repeat() -> None:
        connection = connect()
        while time.perf_counter() < end:
            await _measure(send, connection, outcome, time.perf_counter())
        connection.close()

    started = time.perf_counter()
    await asyncio.gather(*(repeat() for _ in range(in_flight)))
    outcome.seconds = time.perf_counter() - started
    return outcome


async def open_loop(
    connect: Callable[[], Connection],
    rate: float,
    seconds: float,
    send: SendRequest = send_whole,
    *,
    gap: Callable[[], float] | None = None,
) -> Outcome:
    """Send a request every 1/rate seconds, or after each gap in seconds, on an idle connection or a new one."""
    outcome, idle, tasks = Outcome(), list[Connection](), set[asyncio.Task[None]]()

    async def send_one(due: float) -> None:
        connection = idle.pop() if idle else connect()
        await _measure(send, connection, outcome, due)
        idle.append(connection)

    started = due = time.perf_counter()
    while (due := due + (gap() if gap else 1 / rate)) < started + seconds:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        task = asyncio.create_task(send_one(due))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    outcome.seconds = time.perf_counter() - started
    for connection in idle:
        connection.close()
    return outcome
