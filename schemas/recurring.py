"""What stands in one event after the other, as a request does in all six of its own: read once, and written once."""

from __future__ import annotations

from typing import Generic, TypeVar

KEY = 37
"""So many of the first bytes find it: a request's id, with its length."""
MOST = 2048
"""Of one class, about 4 MB; then all are forgotten, and those that go on are read once more."""
LARGEST = 1024
"""Bytes of a part that is kept: callers say how long their names and correlations are."""

P = TypeVar("P")


class Recurring(Generic[P]):
    """The parts of one class that were read or written lately, with their bytes. None changes: all may share them."""

    def __init__(self, most: int = MOST) -> None:
        self.by_key: dict[bytes, tuple[bytes, P]] = {}
        """Found by its first bytes; whether the rest is the same is the reader's to see."""
        self.by_id: dict[int, tuple[P, bytes]] = {}
        """Found by its identity, which is another's when it is gone: it is held here, so that it is not."""
        self._most = most

    def keep(self, data: bytes, part: P) -> None:
        """Keep a part and its bytes, all of them, if they are few."""
        if len(data) > LARGEST:
            return
        if len(self.by_id) >= self._most:
            self.by_key.clear()
            self.by_id.clear()
        self.by_key[data[:KEY]] = data, part
        self.by_id[id(part)] = part, data
