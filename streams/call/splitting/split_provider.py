"""Provider that keeps to the limits of a call: larger embeddings requests are split into parallel calls."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import ClassVar

from connectors.providers.call_limits import LimitTable
from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.json_types import JsonObject
from streams.call.splitting import embeddings

MAX_PARALLEL = 16
"""Concurrent parts of one request, so that a large one leaves permits for others."""
MARGIN_S = 0.05
"""Reserved of the attempt's time, to merge the answers or to report which parts were answered in time."""


class SplittingProvider:
    """Wraps a provider and splits the requests that exceed its limits.

    The attempt has a permit for one call already; every further part acquires a permit of its own, as any other call.

    Args:
        name: configured name of the provider.
        provider: the wrapped provider.
        settings: of the provider.
        acquire: acquires a permit for a further part.

    """

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(
        self,
        name: str,
        provider: Provider,
        settings: ProviderSettings,
        acquire: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._name = name
        self._provider = provider
        self._limits = LimitTable(settings.kind, settings.limits)
        self._acquire = acquire

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make the call, in as many parts as it needs.

        Raises:
            ProviderError: from the provider; of a split call the first failure, with the usage of the other parts.

        """
        parts = self._parts(call)
        if len(parts) == 1:
            return await self._provider.complete(call)
        return await _SplitCall(self._provider, call, parts, self._acquire).run()

    def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Make the call in one part.

        Raises:
            ProviderError: request_too_large, before the provider is called; later from the provider.

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
            parts = embeddings.plan_splits(body, limits, call.on_oversize, target)
        if len(parts) == 1:
            embeddings.check_body(body, limits, target)
        return parts


class _SplitCall:
    """One call that is made in parts, with the results so far."""

    def __init__(
        self,
        provider: Provider,
        call: ProviderCall,
        parts: Sequence[range],
        acquire: Callable[[], AbstractAsyncContextManager[None]],
    ) -> None:
        self._provider = provider
        self._call = call
        self._parts = parts
        self._acquire = acquire
        self._todo = deque(range(len(parts)))
        self._waiting: set[asyncio.Task[None]] = set()
        self._answers: dict[int, ProviderAnswer] = {}
        self._failures: list[tuple[int, Exception]] = []
        self._deadline = asyncio.get_running_loop().time() + max(call.timeout_s - MARGIN_S, call.timeout_s / 2)

    async def run(self) -> ProviderAnswer:
        """Call all parts and merge their answers.

        After a failure no further part is started. Parts in flight are awaited: they are billed, and recorded so.
        """
        async with asyncio.TaskGroup() as tasks:
            for _ in self._parts[1:MAX_PARALLEL]:
                tasks.create_task(self._worker())
            while self._todo:
                await self._call_next()
            for task in self._waiting:
                task.cancel()
        answers = [self._answers[index] for index in sorted(self._answers)]
        if not self._failures:
            return embeddings.merge_answers(answers, self._parts)
        index, error = self._failures[0]
        if isinstance(error, ProviderError):
            error.usage = embeddings.sum_usage(answers)
            if answers or error.param is None:  # otherwise the request is at fault, and all of its parts alike
                error.message = self._describe(index, error.message)
                error.args = (error.message,)
        raise error

    async def _worker(self) -> None:
        """Call parts with permits beside that of the attempt."""
        task = asyncio.current_task()
        assert task is not None
        while self._todo:
            self._waiting.add(task)
            async with self._acquire():
                self._waiting.discard(task)
                if self._todo:
                    await self._call_next()

    async def _call_next(self) -> None:
        index = self._todo.popleft()
        left_s = self._deadline - asyncio.get_running_loop().time()
        body = embeddings.body_of_split(self._call.body, self._parts[index])
        try:
            async with asyncio.timeout(left_s):
                call = dataclasses.replace(self._call, body=body, timeout_s=max(left_s, MARGIN_S))
                self._answers[index] = await self._provider.complete(call)
        except TimeoutError:
            self._fail(index, ProviderError("timeout", f"no answer within {self._call.timeout_s:.3g} s"))
        except Exception as error:  # noqa: BLE001 - raised again when the other parts have ended
            self._fail(index, error)

    def _fail(self, index: int, error: Exception) -> None:
        self._failures.append((index, error))
        self._todo.clear()

    def _describe(self, index: int, message: str) -> str:
        part, count = self._parts[index], len(self._parts)
        answered = _describe_parts(sorted(self._answers))
        billed = f"answered, and billed: {answered}" if answered else "no part was answered"
        return f"part {index + 1} of {count} (inputs {part.start} to {part.stop - 1}): {message} ({billed})"


def _describe_parts(indexes: Sequence[int]) -> str:
    """List the numbers of parts, from 1, as ranges: 1-3, 7."""
    runs: list[list[int]] = []
    for index in indexes:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return ", ".join(f"{run[0] + 1}-{run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs)
