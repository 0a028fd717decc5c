"""Streams: when their first word comes, and whether all of them come in order."""

from __future__ import annotations

import json
import re

from benchmarks.bench import Bench, question
from benchmarks.connection import Connection
from benchmarks.load import Ask, NoAnswerError, closed, opened

OPEN = 200
"""Streams at once."""
FIRST_MS = 200.0
"""After which the provider has its first word."""
BETWEEN_MS = 50.0
WORDS = 40
LASTS_S = (FIRST_MS + WORDS * BETWEEN_MS) / 1000
PROMPT = " ".join(f"word-{number:020d}" for number in range(WORDS))
"""1 KB, and every word another: an echo of it shows what is missing or out of its place."""
MODEL = f"sim/echo?latency_ms={FIRST_MS:.0f}&chunk_ms={BETWEEN_MS:.0f}"
_EVENT = re.compile(rb"^(?:id: (\d+)\n)?data: (\{.*\})$", re.MULTILINE)


async def spread(bench: Bench) -> None:
    """As they come in life: each begins at its own time, and about so many are open at any moment."""
    load = opened(lambda: _connection(bench), OPEN / LASTS_S, max(bench.options.seconds, LASTS_S), first_word)
    await bench.measure(f"first token, {OPEN} streams open, starts spread", load)


async def burst(bench: Bench) -> None:
    """So many at the same moment, and then again."""
    load = closed(lambda: _connection(bench), OPEN, bench.options.seconds, first_word)
    await bench.measure(f"first token, {OPEN} streams at the same moment", load)


def _connection(bench: Bench) -> Connection:
    return bench.connection(question(MODEL, PROMPT, stream=True))


async def _first_word(connection: Connection) -> float:
    first, events = await connection.stream()
    if not in_order(events):
        raise NoAnswerError("words out of order")
    return first - FIRST_MS / 1000


first_word: Ask = _first_word
"""When the first event came, less the provider's own time; no answer if the words are not those that were asked for."""


def in_order(events: bytes) -> bool:
    """Whether the events are numbered from 0 without a gap, and their words say what was asked."""
    found = _EVENT.findall(events)
    numbers = [int(number) for number, _ in found if number]
    deltas = [choice["delta"] for _, data in found for choice in json.loads(data).get("choices", ())]
    return numbers == list(range(len(found))) and "".join(delta.get("content") or "" for delta in deltas) == PROMPT
