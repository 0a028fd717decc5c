"""Open-loop load: requests come at their own times, whatever becomes of those before them, as in life."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence

from tests.chaos.callers import PATIENCE_S, TOPICS, Ask, HttpCaller, KafkaCaller, Way
from tests.eventually import eventually

MIX: dict[Way, float] = {"http": 0.4, "stream": 0.2, "leaving": 0.05, "kafka": 0.35}
MODELS = ("again", "once")


class Load:
    """So many requests a second, in a mix of ways, half of them for each model."""

    def __init__(self, doors: Sequence[str], bootstrap: str, rate: float, seed: int = 0) -> None:
        self.asks: list[Ask] = []
        self._rate = rate
        self._draw = random.Random(seed)
        self._http = HttpCaller(doors, self._draw)
        self._kafka = KafkaCaller(bootstrap)
        self._calls: set[asyncio.Task[None]] = set()
        self._coming: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._kafka.start()
        self._coming = asyncio.create_task(self._come())

    async def stop(self) -> None:
        """No more come; wait for those that are there, as long as their callers do."""
        assert self._coming is not None
        self._coming.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=2 * PATIENCE_S)
        with contextlib.suppress(AssertionError):  # the ledger names them
            await eventually(self._all_replied, within=PATIENCE_S, every=0.2)

    async def close(self) -> None:
        """Whatever is under way ends here."""
        for task in [*self._calls, *([self._coming] if self._coming else [])]:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._kafka.close()
        await self._http.close()

    def ask(self, way: Way, model: str, padding: int = 0) -> Ask:
        """One request more."""
        tenant = TOPICS[way][1] if way in TOPICS else "default"
        ask = Ask(f"{way}-{len(self.asks)}", way, model, time.time(), tenant, padding)
        self.asks.append(ask)
        caller = self._kafka if way in TOPICS else self._http
        task = asyncio.create_task(caller.call(ask))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return ask

    def settled_since(self, moment: float) -> list[Ask]:
        """Those sent since then that have had their reply, in order."""
        return [ask for ask in self.asks if ask.sent_at >= moment and ask.replies]

    async def _come(self) -> None:
        ways, shares = list(MIX), list(MIX.values())
        due = time.monotonic()
        while True:
            due += self._draw.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            (way,) = self._draw.choices(ways, shares)
            self.ask(way, self._draw.choice(MODELS))

    def _all_replied(self) -> bool:
        return all(ask.replies for ask in self.asks if ask.way in TOPICS and ask.accepted)
