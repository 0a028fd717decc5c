"""Statistics of an export, and detection of duplicate examples."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from streams.datasets.openai_sft import Example


@dataclass
class ExportStatistics:
    """Counts, and the origin of the exported examples."""

    read: int = 0
    examples: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """Skipped requests by reason."""
    tenants: set[str] = field(default_factory=set)
    config_hashes: set[str] = field(default_factory=set)
    received_ms: tuple[int, int] | None = None
    """Time of the first and of the last exported request, in milliseconds."""
    _seen: set[bytes] = field(default_factory=set)

    def is_new(self, example: Example) -> bool:
        """Return whether no earlier example has the same messages and tools."""
        digest = hashlib.blake2b(orjson.dumps(example, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()
        new = digest not in self._seen
        self._seen.add(digest)
        return new

    def keep(self, tenant: str, row: Mapping[str, Any]) -> None:
        """Count a request that became an example."""
        received = int(row["received_ms"])
        first, last = self.received_ms or (received, received)
        self.examples += 1
        self.tenants.add(tenant)
        self.config_hashes.add(str(row["config_hash"]))
        self.received_ms = (min(first, received), max(last, received))
