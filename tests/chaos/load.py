"""Open-loop load: requests start at random times, independent of the replies to earlier ones."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import Sequence

from tests.chaos.callers import TIMEOUT_S, TOPICS, CallerKind, HttpCaller, KafkaCaller, SentRequest
from tests.eventually import eventually

MIX: dict[CallerKind, float] = {"http": 0.4, "stream": 0.2, "disconnecting": 0.05, "kafka": 0.35}
MODELS = ("again", "once")


class OpenLoopLoad:
    """Sends ``rate`` requests per second with a mix of callers, half of them for each model."""

    def __init__(self, base_urls: Sequence[str], bootstrap: str, rate: float, seed: int = 0) -> None:
        self.requests: list[SentRequest] = []
        self._rate = rate
        self._random = random.Random(seed)
        self._http = HttpCaller(base_urls, self._random)
        self._kafka = KafkaCaller(bootstrap)
        self._calls: set[asyncio.Task[None]] = set()
        self._generator: asyncio.Task[None] | None = None

    async def start(self) -> None:
        await self._kafka.start()
        self._generator = asyncio.create_task(self._generate())

    async def stop(self) -> None:
        """Start no more requests, and wait for those in progress, up to their timeouts."""
        assert self._generator is not None
        self._generator.cancel()
        if self._calls:
            await asyncio.wait(self._calls, timeout=2 * TIMEOUT_S)
        with contextlib.suppress(AssertionError):  # the ledger names them
            await eventually(self._all_replied, within=TIMEOUT_S, every=0.2)

    async def close(self) -> None:
        """Cancel the requests in progress and close the clients."""
        for task in [*self._calls, *([self._generator] if self._generator else [])]:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        await self._kafka.close()
        await self._http.close()

    def send(self, kind: CallerKind, model: str, padding: int = 0) -> SentRequest:
        """Start one request."""
        tenant = TOPICS[kind][1] if kind in TOPICS else "default"
        request = SentRequest(f"{kind}-{len(self.requests)}", kind, model, time.time(), tenant, padding)
        self.requests.append(request)
        caller = self._kafka if kind in TOPICS else self._http
        task = asyncio.create_task(caller.call(request))
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)
        return request

    def replied_since(self, moment: float) -> list[SentRequest]:
        """Return the requests sent since then that have a reply, in order."""
        return [request for request in self.requests if request.sent_at >= moment and request.replies]

    async def _generate(self) -> None:
        kinds, shares = list(MIX), list(MIX.values())
        due = time.monotonic()
        while True:
            due += self._random.expovariate(self._rate)
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            (kind,) = self._random.choices(kinds, shares)
            self.send(kind, self._random.choice(MODELS))

    def _all_replied(self) -> bool:
        return all(request.replies for request in self.requests if request.kind in TOPICS and request.accepted)
