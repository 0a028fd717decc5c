"""Intern table for the parts that many events contain, such as a request: each is decoded and encoded once.

It is a plain dict that is cleared when full, because this is the hot path of every stage.
"""

from __future__ import annotations

from typing import Generic, TypeVar

MAX_ENTRIES = 2048
"""Entries of one class, about 4 MB. A full table is cleared; parts still in use are decoded once more."""
MAX_ENTRY_BYTES = 1024
"""Largest size of an interned part in bytes. Callers choose the length of their keys and correlations."""

P = TypeVar("P")


class InternTable(Generic[P]):
    """Recently decoded or encoded parts of one class, with their bytes. Parts are immutable, so events share them.

    Args:
        key: length of the prefix that finds a part. Of parts with the same prefix, the table holds the last.
        max_entries: number of parts after which the table is cleared.

    """

    def __init__(self, key: int, max_entries: int = MAX_ENTRIES) -> None:
        self.key = key
        self.by_key: dict[bytes, tuple[bytes, P]] = {}
        """Bytes and part by prefix. The reader must compare the remaining bytes."""
        self.by_id: dict[int, tuple[P, bytes]] = {}
        """Part and bytes by ``id()``. The table keeps a reference to the part, so that no other object gets its id."""
        self._max_entries = max_entries

    def add(self, data: bytes, part: P) -> None:
        """Add a part with all of its bytes, unless they exceed the largest size."""
        if len(data) > MAX_ENTRY_BYTES:
            return
        if len(self.by_id) >= self._max_entries:
            self.by_key.clear()
            self.by_id.clear()
        self.by_key[data[: self.key]] = data, part
        self.by_id[id(part)] = part, data
