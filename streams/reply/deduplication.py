"""One reply per caller."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from schemas.events.catalog import RequestSettled
from schemas.events.parts import ReplyTo

MAX_REMEMBERED = 100_000
"""Replies that a worker remembers, about 20 MB."""


def reply_key(settled: RequestSettled, reply_to: ReplyTo) -> bytes:
    """Name who waits for what. A caller that asks the same again, later, waits anew."""
    request = settled.request
    correlation = [(header.name, header.value) for header in reply_to.correlation]
    waits = (request.request_id, request.received_at, reply_to.topic, reply_to.partition, reply_to.key, correlation)
    return hashlib.blake2b(repr(waits).encode(), digest_size=16).digest()


class ReplyDeduplicator:
    """The callers that were replied to lately, each with the place of the record that did it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._seen: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def is_first(self, caller: bytes, place: tuple[int, int]) -> bool:
        """Whether the record at this place is the one that replies.

        Read again it replies again: what it wrote the first time may have been lost with the partition.
        """
        if caller in self._seen:
            return self._seen[caller] == place
        self._seen[caller] = place
        if len(self._seen) > self._size:
            self._seen.popitem(last=False)
        return True
