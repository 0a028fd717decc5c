"""Counter of the unfinished requests of tenants that have a limit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from schemas.events.parts import Request


class InFlightRequests:
    """Requests that this ingress has published and not yet received a reply to, of tenants with a limit.

    The limit also bounds the memory that this takes. A request without a reply is dropped after its deadline.
    """

    def __init__(self, limits: Mapping[str, int]) -> None:
        self._limits = limits
        self._started: dict[str, tuple[str, asyncio.TimerHandle]] = {}
        self._tenants: Counter[str] = Counter()

    def count(self, tenant: str) -> int:
        """Return the number of unfinished requests of a tenant; 0 for a tenant without a limit."""
        return self._tenants[tenant]

    def add(self, request: Request, correlation: str, seconds: float) -> None:
        """Count a request until the reply with this correlation id, or for this long."""
        if request.tenant not in self._limits:
            return
        timer = asyncio.get_running_loop().call_later(seconds, self.remove, correlation)
        self._started[correlation] = request.tenant, timer
        self._tenants[request.tenant] += 1

    def remove(self, correlation: str) -> None:
        """Stop counting a request; does nothing if it is not counted."""
        if correlation not in self._started:
            return
        tenant, timer = self._started.pop(correlation)
        timer.cancel()
        self._tenants[tenant] -= 1
