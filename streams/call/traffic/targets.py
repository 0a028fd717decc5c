"""Registry of the targets that a worker has called recently."""

from __future__ import annotations

import functools
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import ClassVar

from cachetools import LRUCache

from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.events.catalog import TargetStateChanged
from schemas.events.parts import Target
from schemas.json_types import JsonObject
from streams.call.traffic.bulkhead import Bulkhead
from streams.call.traffic.circuit_breaker import StateChange
from streams.call.traffic.fair_share import DynamicThreshold
from streams.call.traffic.rate_limit import ConfiguredRateLimit
from streams.call.traffic.target import TargetController

MAX_TARGETS = 1000
"""Targets kept, the most recently used ones. Callers may name any model, so their number is not bounded otherwise."""


class TargetRegistry:
    """The target controllers of one worker.

    Args:
        providers: clients by configured name.
        settings: by the same name.
        worker: id of this worker.
        clock: seconds since the epoch.
        threshold: bounds how many of the worker's requests one provider may hold.
        batch_share: share of each provider's concurrency limit that the batch lane may use.

    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        settings: Mapping[str, ProviderSettings],
        worker: str,
        clock: Callable[[], float] = time.time,
        *,
        threshold: DynamicThreshold | None = None,
        batch_share: float = 1.0,
    ) -> None:
        self.state_changes: deque[TargetStateChanged] = deque()
        """Not published yet; the publisher removes them."""
        self._providers = dict(providers)
        self._settings = settings
        self._threshold = threshold
        self._batch_share = batch_share
        self._bulkheads = {name: Bulkhead(settings[name].max_in_flight, batch_share) for name in providers}
        self._rate_limits = {
            name: ConfiguredRateLimit(settings[name].rate_limit, time.monotonic()) for name in providers
        }
        self._worker = worker
        self._clock = clock
        self._controllers: LRUCache[tuple[str, str], TargetController] = LRUCache(MAX_TARGETS)

    def get(self, target: Target) -> TargetController:
        """Return the controller of a target; a new one without history if the target was evicted or never called."""
        key = (target.provider, target.model)
        try:
            return self._controllers[key]
        except KeyError:
            controller = self._controllers[key] = self._create(target)
            return controller

    def set_share(self, share: float) -> None:
        """Use this share of all rate limits from now on, above 0 and up to 1; other workers use the rest."""
        for rate_limit in self._rate_limits.values():
            rate_limit.share = share

    async def close(self) -> None:
        """Close the providers' connections."""
        for provider in self._providers.values():
            await provider.close()

    def _create(self, target: Target) -> TargetController:
        name = target.provider
        provider = self._providers.get(name)
        if provider is None:
            return TargetController(name, _MissingProvider(name), ProviderSettings(kind="absent"))
        return TargetController(
            name,
            provider,
            self._settings[name],
            bulkhead=self._bulkheads[name],
            rate_limit=self._rate_limits[name],
            threshold=self._threshold,
            batch_share=self._batch_share,
            on_change=functools.partial(self._on_state_change, target),
        )

    def _on_state_change(self, target: Target, change: StateChange) -> None:
        self.state_changes.append(
            TargetStateChanged(
                provider=target.provider,
                model=target.model,
                state=change.state,
                reason=change.reason,
                failure_ratio=change.failure_ratio,
                cooldown_ms=round(change.cooldown_s * 1000),
                worker=self._worker,
                changed_at=int(self._clock() * 1000),
            )
        )


class _MissingProvider:
    """Provider that fails every call: the route stage knows it, but this worker has read another configuration."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, name: str, _: ProviderSettings | None = None) -> None:
        self.name = name

    async def complete(self, _: ProviderCall) -> ProviderAnswer:
        raise ProviderError("not_found", f"provider {self.name} is not configured in this worker")

    async def stream(self, call: ProviderCall) -> AsyncIterator[JsonObject | ProviderAnswer]:
        yield await self.complete(call)

    async def close(self) -> None:
        """Do nothing."""
