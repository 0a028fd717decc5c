"""Bounded memory that tenants share: beyond its limit, the tenant that holds most loses its oldest value.

So no tenant can push out the values of another one that holds less than an even share. Every operation takes constant
time, for any number of values and tenants.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from streams.pipeline.tenant_weights import TenantWeights

Value = TypeVar("Value")


class _Entry(Generic[Value]):
    __slots__ = ("since_s", "tenant", "value", "weight")

    def __init__(self, tenant: str, value: Value, weight: int, since_s: float) -> None:
        self.tenant = tenant
        self.value = value
        self.weight = weight
        self.since_s = since_s


class FairStore(Generic[Value]):
    """Values by key, each of one tenant and with a weight, such as its bytes.

    Args:
        limit: of all weights together.
        keep_s: age at which a value is dropped, in seconds.
        clock: monotonic seconds.

    """

    def __init__(self, limit: int, keep_s: float = float("inf"), clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = limit
        self._keep_s = keep_s
        self._clock = clock
        self._entries: OrderedDict[str, _Entry[Value]] = OrderedDict()
        """All, the oldest first."""
        self._tenants: dict[str, OrderedDict[str, None]] = {}
        """Keys of each tenant, the oldest first."""
        self._weights = TenantWeights()

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def weight(self) -> int:
        """Sum of all weights."""
        return self._weights.total

    def put(self, key: str, tenant: str, value: Value, weight: int = 1) -> None:
        """Add a value as the newest one, in place of any other under this key. A value above the limit is not kept."""
        self.discard(key)
        self._entries[key] = _Entry(tenant, value, weight, self._clock())
        keys = self._tenants.get(tenant)
        if keys is None:
            keys = self._tenants[tenant] = OrderedDict()
        keys[key] = None
        self._weights.add(tenant, weight)
        self._evict()

    def get(self, key: str, tenant: str) -> Value | None:
        """Return a value of this tenant; None if there is none, or if it is another tenant's."""
        entry = self._entries.get(key)
        if entry is None or entry.tenant != tenant or entry.since_s < self._clock() - self._keep_s:
            return None
        return entry.value

    def peek(self, key: str) -> Value | None:
        """Return a value, whichever tenant has it."""
        entry = self._entries.get(key)
        return None if entry is None else entry.value

    def reweigh(self, key: str, weight: int) -> None:
        """Change the weight of a value, which keeps its age."""
        entry = self._entries[key]
        self._weights.add(entry.tenant, weight - entry.weight)
        entry.weight = weight
        self._evict()

    def discard(self, key: str) -> None:
        """Remove a value; does nothing if there is none."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        keys = self._tenants[entry.tenant]
        del keys[key]
        if not keys:
            del self._tenants[entry.tenant]
        self._weights.add(entry.tenant, -entry.weight)

    def _evict(self) -> None:
        """Drop what is too old, and then what is too much."""
        horizon_s = self._clock() - self._keep_s
        while self._entries:
            key, oldest = next(iter(self._entries.items()))
            if oldest.since_s >= horizon_s:
                break
            self.discard(key)
        while self._weights.total > self._limit:
            self.discard(next(iter(self._tenants[self._weights.heaviest()])))
