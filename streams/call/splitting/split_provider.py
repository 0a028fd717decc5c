"""A provider that is never asked for more than it takes: what is larger is called in parts, side by side."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar

from connectors.providers.call_limits import LimitTable
from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from streams.call.splitting import embeddings as shaping

MAX_PARALLEL = 16
"""Parts of one request under way at once, so that a large one leaves room for others."""
MARGIN_S = 0.05
"""Of the attempt's time, kept back to say which parts came in time, and to join them."""


class SplittingProvider:
    """Stands before a provider and keeps to its limits.

    The attempt has room for one call already; every further part waits for room of its own, as any other call does.
    """

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(
        self,
        name: str,
        provider: Provider,
        settings: ProviderSettings,
        place: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._name = name
        self._provider = provider
        self._limits = LimitTable(settings.kind, settings.limits)
        self._place = place

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make the call, in as many parts as it needs.

        Raises:
            ProviderError: as the provider; of parts the first that failed, with what the others have cost.

        """
        parts = self._parts(call)
        if len(parts) == 1:
            return await self._provider.complete(call)
        return await _SplitCall(self._provider, call, parts, self._place).answer()

    def stream(self, call: ProviderCall) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        """Make the call as it is.

        Raises:
            ProviderError: request_too_large, before anybody is called; later as the provider.

        """
        self._parts(call)
        return self._provider.stream(call)

    async def close(self) -> None:
        """Close the provider."""
        await self._provider.close()

    def _parts(self, call: ProviderCall) -> list[range]:
        limits, target = self._limits.find(call.model), f"{self._name}/{call.model}"
        body = {**call.body, "model": call.model}
        parts = [range(1)]
        if call.operation == "embeddings":
            parts = shaping.plan_splits(body, limits, call.on_oversize, target)
        if len(parts) == 1:
            shaping.check_body(body, limits, target)
        return parts


class _SplitCall:
    """One call that is made in parts, and what has become of each."""

    def __init__(
        self,
        provider: Provider,
        call: ProviderCall,
        parts: Sequence[range],
        place: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._provider = provider
        self._call = call
        self._parts = parts
        self._place = place
        self._todo = deque(range(len(parts)))
        self._waiting: set[asyncio.Task[None]] = set()
        self._answers: dict[int, ProviderAnswer] = {}
        self._failed: list[tuple[int, Exception]] = []
        self._deadline = asyncio.get_running_loop().time() + max(call.timeout_s - MARGIN_S, call.timeout_s / 2)

    async def answer(self) -> ProviderAnswer:
        """Call them all and join what comes.

        After a failure no other is begun. Those under way are waited for: they are paid for, and the record says so.
        """
        async with asyncio.TaskGroup() as tasks:
            for _ in self._parts[1:MAX_PARALLEL]:
                tasks.create_task(self._worker())
            while self._todo:
                await self._call_next()
            for task in self._waiting:
                task.cancel()
        answers = [self._answers[place] for place in sorted(self._answers)]
        if not self._failed:
            return shaping.merge_answers(answers, self._parts)
        place, error = self._failed[0]
        if isinstance(error, ProviderError):
            error.usage = shaping.sum_usage(answers)
            if answers or error.param is None:  # else the request is at fault, and all of its parts alike
                error.message = self._describe(place, error.message)
                error.args = (error.message,)
        raise error

    async def _worker(self) -> None:
        """Call parts in room beside the attempt's own."""
        task = asyncio.current_task()
        assert task is not None
        while self._todo:
            self._waiting.add(task)
            async with self._place():
                self._waiting.discard(task)
                if self._todo:
                    await self._call_next()

    async def _call_next(self) -> None:
        place = self._todo.popleft()
        left_s = self._deadline - asyncio.get_running_loop().time()
        body = shaping.body_of_split(self._call.body, self._parts[place])
        try:
            async with asyncio.timeout(left_s):
                call = dataclasses.replace(self._call, body=body, timeout_s=max(left_s, MARGIN_S))
                self._answers[place] = await self._provider.complete(call)
        except TimeoutError:
            self._fail(place, ProviderError("timeout", f"no answer within {self._call.timeout_s:.3g} s"))
        except Exception as error:  # noqa: BLE001 - raised again when the other parts have ended
            self._fail(place, error)

    def _fail(self, place: int, error: Exception) -> None:
        self._failed.append((place, error))
        self._todo.clear()

    def _describe(self, place: int, message: str) -> str:
        part, count = self._parts[place], len(self._parts)
        done = _describe_parts(sorted(self._answers))
        billed = f"answered, and billed: {done}" if done else "no part was answered"
        return f"part {place + 1} of {count} (inputs {part.start} to {part.stop - 1}): {message} ({billed})"


def _describe_parts(places: Sequence[int]) -> str:
    """Tell the numbers of parts, counted from 1, in runs: 1-3, 7."""
    runs: list[list[int]] = []
    for place in places:
        if runs and place == runs[-1][-1] + 1:
            runs[-1].append(place)
        else:
            runs.append([place])
    return ", ".join(f"{run[0] + 1}-{run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs)
