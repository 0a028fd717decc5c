"""Weights that tenants hold of something shared, and the tenant that holds most.

Every operation takes constant time, for any number of tenants. Tenants are grouped by their weight, to three bits
after the first one. A bit set has the groups that are not empty, so the heaviest tenant is found to within an eighth
without a look at the others.
"""

from __future__ import annotations

from collections import OrderedDict

_EXACT = 16
"""Weights below it have a group each."""
_BITS = 4


class TenantWeights:
    """Weight of each tenant that holds any."""

    def __init__(self) -> None:
        self.total = 0
        self._weights: dict[str, int] = {}
        self._groups: dict[int, OrderedDict[str, None]] = {}
        self._used = 0
        """Bit n is set if group n has a tenant."""

    def __len__(self) -> int:
        return len(self._weights)

    def __getitem__(self, tenant: str) -> int:
        return self._weights.get(tenant, 0)

    def add(self, tenant: str, change: int) -> None:
        """Change the weight of a tenant. A tenant whose weight becomes 0 is forgotten."""
        before = self._weights.get(tenant, 0)
        after = before + change
        self.total += change
        if after:
            self._weights[tenant] = after
        else:
            self._weights.pop(tenant, None)
        left, entered = _group(before), _group(after)
        if left != entered:
            self._leave(tenant, left)
            self._enter(tenant, entered)

    def heaviest(self) -> str:
        """Return a tenant than which none holds an eighth more.

        Raises:
            LookupError: no tenant holds any weight.

        """
        return next(iter(self._groups[self._used.bit_length() - 1]))

    def _enter(self, tenant: str, group: int) -> None:
        if group:
            self._groups.setdefault(group, OrderedDict())[tenant] = None
            self._used |= 1 << group

    def _leave(self, tenant: str, group: int) -> None:
        if not group:
            return
        tenants = self._groups[group]
        del tenants[tenant]
        if not tenants:
            del self._groups[group]
            self._used ^= 1 << group


def _group(weight: int) -> int:
    """Return the group of a weight, in the order of weights; 0 for none."""
    if weight < _EXACT:
        return weight
    shift = weight.bit_length() - _BITS
    return (shift << (_BITS - 1)) + (weight >> shift)
