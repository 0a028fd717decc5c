"""How many requests of a tenant have no end yet, whether anybody waits for it or not."""

from __future__ import annotations

import asyncio
from collections import Counter

from schemas.events.parts import Request
from streams.config.settings import Settings


class InFlightRequests:
    """The requests that this ingress has written and seen no reply to, of those tenants that may have only so many.

    So no more is kept of a tenant than it may have. A reply that never comes is waited for until its time is over.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun: dict[str, tuple[str, asyncio.TimerHandle]] = {}
        self._tenants: Counter[str] = Counter()

    def count(self, tenant: str) -> int:
        """How many of them are a tenant's; 0 of one that may have any number."""
        return self._tenants[tenant]

    def add(self, request: Request, correlation: str, seconds: float) -> None:
        """Count a request until the reply of this correlation id, or for so long."""
        if self._settings.tenant(request.tenant).max_in_flight is None:
            return
        timer = asyncio.get_running_loop().call_later(seconds, self.remove, correlation)
        self._begun[correlation] = request.tenant, timer
        self._tenants[request.tenant] += 1

    def remove(self, correlation: str) -> None:
        """Count it no more; nothing if it is not counted."""
        if correlation not in self._begun:
            return
        tenant, timer = self._begun.pop(correlation)
        timer.cancel()
        self._tenants[tenant] -= 1
