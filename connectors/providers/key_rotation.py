"""Round-robin rotation over several keys of one provider, with a cooldown for a key that was refused."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from typing import ClassVar, cast

from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject

KEY_COOLDOWN_S: dict[ErrorType, float] = {"rate_limited": 5.0, "quota_exhausted": 300.0, "auth": 300.0}
"""Cooldown of a key after each error that concerns the key, unless the provider states a delay."""


class KeyRotation:
    """Provider that calls with the next available key; if all are in cooldown, with the one whose cooldown ends first.

    It never retries by itself: an error has ``retry_with_other_key`` if another key is available.

    Args:
        providers: one per key, otherwise identical.
        clock: monotonic seconds.

    """

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, providers: Sequence[Provider], clock: Callable[[], float] = time.monotonic) -> None:
        self._providers = providers
        self._available_at_s = [0.0] * len(providers)
        self._last = -1
        self._clock = clock

    async def complete(self, call: ProviderCall) -> ProviderAnswer:
        """Make one call with the next key.

        Raises:
            ProviderError: raised by the provider.

        """
        key = self._next_key()
        try:
            return self._record_answer(key, await self._providers[key].complete(call))
        except ProviderError as error:
            self._record_error(key, error)
            raise

    async def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        """Make the call once, by the next key.

        Raises:
            ProviderError: raised by the provider.

        """
        key = self._next_key()
        stream = cast("AsyncGenerator[JsonObject | ProviderAnswer]", self._providers[key].stream(call))
        try:
            async with contextlib.aclosing(stream):
                async for item in stream:
                    yield self._record_answer(key, item) if isinstance(item, ProviderAnswer) else item
        except ProviderError as error:
            self._record_error(key, error)
            raise

    async def close(self) -> None:
        """Close all providers."""
        for provider in self._providers:
            await provider.close()

    def _next_key(self) -> int:
        """Return the next key in round-robin order among those with the shortest cooldown."""
        now_s, count = self._clock(), len(self._providers)
        order = [(self._last + step) % count for step in range(1, count + 1)]
        self._last = min(order, key=lambda key: max(self._available_at_s[key] - now_s, 0.0))
        return self._last

    def _record_answer(self, key: int, answer: ProviderAnswer) -> ProviderAnswer:
        """Set the index of the key, and start its cooldown if its rate limit is used up.

        The rates in the headers apply to this key only, so they are removed from the answer.
        """
        budgets = [budget for budget in answer.rates or () if budget is not None and budget.remaining < 1]
        if budgets:
            self._cool_down(key, max(budget.reset_s for budget in budgets))
        return dataclasses.replace(answer, key_index=key, rates=None)

    def _record_error(self, key: int, error: ProviderError) -> None:
        error.key_index, error.rates = key, None
        if error.error_type in KEY_COOLDOWN_S:
            self._cool_down(key, error.retry_after_s or KEY_COOLDOWN_S[error.error_type])
            error.retry_with_other_key = any(until_s <= self._clock() for until_s in self._available_at_s)

    def _cool_down(self, key: int, seconds: float) -> None:
        self._available_at_s[key] = self._clock() + seconds
