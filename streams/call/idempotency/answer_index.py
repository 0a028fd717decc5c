"""Where on the log the answers of a day stand: a few bytes for each, bounded in number and time.

Kept by the minute of their records. What must go, goes by the minute, the oldest first.
"""

from __future__ import annotations

import hashlib
import time
from array import array
from collections.abc import Callable

MAX_ENTRIES = 300_000
"""Answers that a worker can find again: about 40 MB."""
RETENTION_MINUTES = 24 * 60
_MINUTE_MS = 60_000


class AnswerIndex:
    """Request id to the offset of its answer, in the partitions of one worker."""

    def __init__(
        self, limit: int = MAX_ENTRIES, minutes: int = RETENTION_MINUTES, clock: Callable[[], float] = time.time
    ) -> None:
        self._limit = limit
        self._span = minutes
        self._clock = clock
        self._offsets: dict[int, int] = {}
        self._minutes: dict[int, dict[int, array[int]]] = {}
        """The keys of each minute, by partition: what to forget with it."""

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, request_id: str, partition: int, offset: int, at_ms: int) -> bool:
        """Remember where an answer stands; of two for one request, the later in the log.

        Args:
            request_id: whose answer.
            partition: of the topic that the answers are on.
            offset: there.
            at_ms: the record's time, in milliseconds since the epoch.

        Returns whether it is remembered: not if it is too old, or if there is no room and all others are younger.

        """
        now = int(self._clock() * 1000) // _MINUTE_MS
        minute = min(at_ms // _MINUTE_MS, now)
        if minute <= now - self._span:
            return False
        key = _key(request_id)
        if self._offsets.get(key, -1) < offset:
            self._offsets[key] = offset
            if minute not in self._minutes:
                self._forget_until(now - self._span)
            self._minutes.setdefault(minute, {}).setdefault(partition, array("Q")).append(key)
        while len(self._offsets) > self._limit:
            self._forget(min(self._minutes))
        return minute in self._minutes

    def find(self, request_id: str) -> int | None:
        """The offset of a request's answer. Rarely it is another one's, or too old: who reads there must look."""
        return self._offsets.get(_key(request_id))

    def drop_partition(self, partition: int) -> None:
        """Forget a partition that another worker has now."""
        for keys_by_partition in self._minutes.values():
            self._drop(keys_by_partition.pop(partition, ()))

    def _forget_until(self, last: int) -> None:
        for minute in [minute for minute in self._minutes if minute <= last]:
            self._forget(minute)

    def _forget(self, minute: int) -> None:
        for keys in self._minutes.pop(minute).values():
            self._drop(keys)

    def _drop(self, keys: array[int] | tuple[()]) -> None:
        for key in keys:
            self._offsets.pop(key, None)


def _key(request_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest())
