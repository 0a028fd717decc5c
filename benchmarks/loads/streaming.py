"""Streams: time to first token, and order of the chunks."""

from __future__ import annotations

import json
import re

from benchmarks.bench import Bench, chat_body
from benchmarks.connection import Connection
from benchmarks.load import NoAnswerError, SendRequest, closed_loop, open_loop

OPEN = 200
"""Concurrent streams."""
FIRST_MS = 200.0
"""The provider's own time to its first token."""
BETWEEN_MS = 50.0
WORDS = 40
STREAM_S = (FIRST_MS + WORDS * BETWEEN_MS) / 1000
PROMPT = " ".join(f"word-{number:020d}" for number in range(WORDS))
"""1 KB of distinct words, so that an echo shows missing words and wrong order."""
MODEL = f"sim/echo?latency_ms={FIRST_MS:.0f}&chunk_ms={BETWEEN_MS:.0f}"
_EVENT = re.compile(rb"^(?:id: (\d+)\n)?data: (\{.*\})$", re.MULTILINE)


async def spread(bench: Bench) -> None:
    """Measure streams with spread start times, about ``OPEN`` of them open at any time."""
    load = open_loop(lambda: _connection(bench), OPEN / STREAM_S, max(bench.options.seconds, STREAM_S), first_token)
    await bench.measure(f"first token, {OPEN} streams open, starts spread", load)


async def burst(bench: Bench) -> None:
    """Measure ``OPEN`` streams that start at the same moment, repeatedly."""
    load = closed_loop(lambda: _connection(bench), OPEN, bench.options.seconds, first_token)
    await bench.measure(f"first token, {OPEN} streams at the same moment", load)


def _connection(bench: Bench) -> Connection:
    return bench.connection(chat_body(MODEL, PROMPT, stream=True))


async def _first_token(connection: Connection) -> float:
    first, events = await connection.stream()
    if not in_order(events):
        raise NoAnswerError("words out of order")
    return first - FIRST_MS / 1000


first_token: SendRequest = _first_token
"""Returns the time of the first event less the provider's own time; an error if the words are not the prompt's."""


def in_order(events: bytes) -> bool:
    """Return whether the events are numbered from 0 without a gap, and their words are the prompt's."""
    found = _EVENT.findall(events)
    numbers = [int(number) for number, _ in found if number]
    deltas = [choice["delta"] for _, data in found for choice in json.loads(data).get("choices", ())]
    return numbers == list(range(len(found))) and "".join(delta.get("content") or "" for delta in deltas) == PROMPT
