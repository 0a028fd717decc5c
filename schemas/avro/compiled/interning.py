"""What stands in one event after the other, as a request and its plan do: read once, and written once."""

from __future__ import annotations

from typing import Generic, TypeVar

MAX_ENTRIES = 2048
"""Of one class, about 4 MB; then all are forgotten, and those that go on are read once more."""
MAX_ENTRY_BYTES = 1024
"""Bytes of a part that is kept: callers say how long their names and correlations are."""

P = TypeVar("P")


class InternTable(Generic[P]):
    """The parts of one class that were read or written lately, with their bytes. None changes: all may share them.

    Args:
        key: so many of the first bytes find one; of those that begin alike the last is found.
        most: so many are kept.

    """

    def __init__(self, key: int, most: int = MAX_ENTRIES) -> None:
        self.key = key
        self.by_key: dict[bytes, tuple[bytes, P]] = {}
        """Found by its first bytes; whether the rest is the same is the reader's to see."""
        self.by_id: dict[int, tuple[P, bytes]] = {}
        """Found by its identity, which is another's when it is gone: it is held here, so that it is not."""
        self._max_entries = most

    def add(self, data: bytes, part: P) -> None:
        """Keep a part and its bytes, all of them, if they are few."""
        if len(data) > MAX_ENTRY_BYTES:
            return
        if len(self.by_id) >= self._max_entries:
            self.by_key.clear()
            self.by_id.clear()
        self.by_key[data[: self.key]] = data, part
        self.by_id[id(part)] = part, data
