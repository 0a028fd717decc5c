"""All targets that a worker has called lately, each with its gate, and the news of them."""

from __future__ import annotations

import functools
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar

from connectors.providers.provider import Provider, ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.events.catalog import TargetStateChanged
from schemas.events.parts import Target
from streams.call.traffic.bulkhead import Bulkhead
from streams.call.traffic.circuit_breaker import StateChange
from streams.call.traffic.fair_share import DynamicThreshold
from streams.call.traffic.rate_limit import ConfiguredRateLimit
from streams.call.traffic.target import TargetController

MAX_TARGETS = 1000
"""Targets that are remembered: callers may name any model, and so make any number of them."""


class TargetRegistry:
    """The gates of one worker.

    Args:
        providers: by name.
        settings: of each.
        worker: who we are.
        slots: how many requests it has under way.
        batch_share: the part of each provider's room that the batch lane may have.
        clock: seconds since the epoch.

    """

    def __init__(
        self,
        providers: Mapping[str, Provider],
        settings: Mapping[str, ProviderSettings],
        worker: str,
        clock: Callable[[], float] = time.time,
        *,
        slots: DynamicThreshold | None = None,
        batch_share: float = 1.0,
    ) -> None:
        self.state_changes: deque[TargetStateChanged] = deque()
        """Not yet told to anybody; whoever reads it takes it out."""
        self._providers = dict(providers)
        self._settings = settings
        self._threshold = slots
        self._batch_share = batch_share
        self._bulkheads = {name: Bulkhead(settings[name].max_in_flight, batch_share) for name in providers}
        self._rate_limits = {
            name: ConfiguredRateLimit(settings[name].rate_limit, time.monotonic()) for name in providers
        }
        self._worker = worker
        self._clock = clock
        self._targets: OrderedDict[tuple[str, str], TargetController] = OrderedDict()

    def get(self, target: Target) -> TargetController:
        """The gate of a target; a new one, in which nothing has happened, if it was not called for long."""
        key = (target.provider, target.model)
        gate = self._targets.get(key)
        if gate is None:
            gate = self._targets[key] = self._create(target)
            if len(self._targets) > MAX_TARGETS:
                self._targets.popitem(last=False)
        else:
            self._targets.move_to_end(key)
        return gate

    def set_share(self, part: float) -> None:
        """Keep to this part of all rate limits from now on, above 0 and up to 1: other workers have the rest."""
        for pace in self._rate_limits.values():
            pace.share = part

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
            room=self._bulkheads[name],
            pace=self._rate_limits[name],
            slots=self._threshold,
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
    """Stands for a provider that route knows and this worker does not: they have read different configurations."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, name: str, _: ProviderSettings | None = None) -> None:
        self.name = name

    async def complete(self, _: ProviderCall) -> ProviderAnswer:
        raise ProviderError("not_found", f"provider {self.name} is not configured in this worker")

    async def stream(self, call: ProviderCall) -> AsyncIterator[dict[str, Any] | ProviderAnswer]:
        yield await self.complete(call)

    async def close(self) -> None:
        """Do nothing."""
