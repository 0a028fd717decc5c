"""In-memory index of recorded answers: request id to offset, a few bytes each, bounded in number and age.

Entries are grouped by the minute of their records and evicted by the minute, the oldest first.
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
    """Offsets of the answers in the partitions of one worker.

    Args:
        max_entries: answers kept.
        retention_minutes: maximum age of an answer.
        clock: seconds since the epoch.

    """

    def __init__(
        self,
        max_entries: int = MAX_ENTRIES,
        retention_minutes: int = RETENTION_MINUTES,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._max_entries = max_entries
        self._retention_minutes = retention_minutes
        self._clock = clock
        self._offsets: dict[int, int] = {}
        self._minutes: dict[int, dict[int, array[int]]] = {}
        """Keys of each minute by partition, for the eviction."""

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, request_id: str, partition: int, offset: int, timestamp_ms: int) -> bool:
        """Add an answer. Of two answers to one request the one with the higher offset is kept.

        Args:
            request_id: of the answered request.
            partition: of the answer's record.
            offset: of the answer's record.
            timestamp_ms: of the answer's record, in milliseconds since the epoch.

        Returns False if the answer was not added: it is too old, or the index is full of newer answers.

        """
        now = int(self._clock() * 1000) // _MINUTE_MS
        minute = min(timestamp_ms // _MINUTE_MS, now)
        if minute <= now - self._retention_minutes:
            return False
        key = _key(request_id)
        if self._offsets.get(key, -1) < offset:
            self._offsets[key] = offset
            if minute not in self._minutes:
                self._evict_until(now - self._retention_minutes)
            self._minutes.setdefault(minute, {}).setdefault(partition, array("Q")).append(key)
        while len(self._offsets) > self._max_entries:
            self._evict(min(self._minutes))
        return minute in self._minutes

    def find(self, request_id: str) -> int | None:
        """Return the offset of a request's answer.

        In rare cases it is the offset of another request's answer or of one that is too old: check the record there.
        """
        return self._offsets.get(_key(request_id))

    def drop_partition(self, partition: int) -> None:
        """Forget a partition that was revoked."""
        for keys_by_partition in self._minutes.values():
            self._drop(keys_by_partition.pop(partition, ()))

    def _evict_until(self, last: int) -> None:
        for minute in [minute for minute in self._minutes if minute <= last]:
            self._evict(minute)

    def _evict(self, minute: int) -> None:
        for keys in self._minutes.pop(minute).values():
            self._drop(keys)

    def _drop(self, keys: array[int] | tuple[()]) -> None:
        for key in keys:
            self._offsets.pop(key, None)


def _key(request_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(request_id.encode(), digest_size=8).digest())
