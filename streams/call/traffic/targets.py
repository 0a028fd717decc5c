"""All targets that a worker has called lately, each with its gate, and the news of them."""

from __future__ import annotations

import functools
import time
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, ClassVar

from connectors.providers.provider import Answer, Call, Provider, ProviderError
from connectors.providers.settings import ProviderSettings
from schemas.events.catalog import TargetStateChanged
from schemas.events.parts import Target
from streams.call.traffic.bulkhead import Room
from streams.call.traffic.circuit_breaker import StateChange
from streams.call.traffic.fair_share import Slots
from streams.call.traffic.rate_limit import Pace
from streams.call.traffic.target import Gate

KEPT = 1000
"""Targets that are remembered: callers may name any model, and so make any number of them."""


class Gates:
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
        slots: Slots | None = None,
        batch_share: float = 1.0,
    ) -> None:
        self.news: deque[TargetStateChanged] = deque()
        """Not yet told to anybody; whoever reads it takes it out."""
        self._providers = dict(providers)
        self._settings = settings
        self._slots = slots
        self._batch_share = batch_share
        self._rooms = {name: Room(settings[name].max_in_flight, batch_share) for name in providers}
        self._paces = {name: Pace(settings[name].rate_limit, time.monotonic()) for name in providers}
        self._worker = worker
        self._clock = clock
        self._gates: OrderedDict[tuple[str, str], Gate] = OrderedDict()

    def of(self, target: Target) -> Gate:
        """The gate of a target; a new one, in which nothing has happened, if it was not called for long."""
        key = (target.provider, target.model)
        gate = self._gates.get(key)
        if gate is None:
            gate = self._gates[key] = self._open(target)
            if len(self._gates) > KEPT:
                self._gates.popitem(last=False)
        else:
            self._gates.move_to_end(key)
        return gate

    def share(self, part: float) -> None:
        """Keep to this part of all rate limits from now on, above 0 and up to 1: other workers have the rest."""
        for pace in self._paces.values():
            pace.share = part

    async def close(self) -> None:
        """Close the providers' connections."""
        for provider in self._providers.values():
            await provider.close()

    def _open(self, target: Target) -> Gate:
        name = target.provider
        provider = self._providers.get(name)
        if provider is None:
            return Gate(name, _Absent(name), ProviderSettings(kind="absent"))
        return Gate(
            name,
            provider,
            self._settings[name],
            room=self._rooms[name],
            pace=self._paces[name],
            slots=self._slots,
            batch_share=self._batch_share,
            on_change=functools.partial(self._changed, target),
        )

    def _changed(self, target: Target, change: StateChange) -> None:
        self.news.append(
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


class _Absent:
    """Stands for a provider that route knows and this worker does not: they have read different configurations."""

    Settings: ClassVar[type[ProviderSettings]] = ProviderSettings

    def __init__(self, name: str, _: ProviderSettings | None = None) -> None:
        self.name = name

    async def complete(self, _: Call) -> Answer:
        raise ProviderError("not_found", f"provider {self.name} is not configured in this worker")

    async def stream(self, call: Call) -> AsyncIterator[dict[str, Any] | Answer]:
        yield await self.complete(call)

    async def close(self) -> None:
        """Do nothing."""
