"""Deduplication of replies: one reply per request and waiting caller."""

from __future__ import annotations

import hashlib

from cachetools import FIFOCache

from schemas.events.catalog import RequestSettled
from schemas.events.parts import ReplyTo

MAX_REPLIES = 100_000
"""Replies that a worker remembers, about 40 MB."""


def reply_key(settled: RequestSettled, reply_to: ReplyTo) -> bytes:
    """Return a key of the request and its caller. A retry by the caller at a later time has another key."""
    request = settled.request
    correlation = [(header.name, header.value) for header in reply_to.correlation]
    fields = (request.request_id, request.received_at, reply_to.topic, reply_to.partition, reply_to.key, correlation)
    return hashlib.blake2b(repr(fields).encode(), digest_size=16).digest()


class ReplyDeduplicator:
    """Remembers the latest replies, each with the position of the outcome that caused it.

    Args:
        max_replies: replies remembered.

    """

    def __init__(self, max_replies: int = MAX_REPLIES) -> None:
        self._positions: FIFOCache[bytes, tuple[int, int]] = FIFOCache(max_replies)

    def is_first(self, key: bytes, position: tuple[int, int]) -> bool:
        """Return whether the outcome at this position (partition and offset) is the one to reply to.

        An outcome that is read again is replied to again: its first reply may have been lost when the partition was
        revoked.
        """
        first = self._positions.get(key)
        if first is None:
            self._positions[key] = position
        return first is None or first == position
