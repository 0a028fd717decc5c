"""Cache of replies for callers that poll, limited by age, number and size. ClickHouse has all others."""

from __future__ import annotations

import time
from collections import OrderedDict
from dataclasses import dataclass

import orjson

from schemas.events.vocabulary import Outcome
from streams.ingress.replies.reader import Reply

KEEP_S = 3600.0
MAX_ENTRIES = 10_000
MAX_BYTES = 64 * 1024 * 1024
ANSWERED: Outcome = "answered"


@dataclass(slots=True)
class CachedReply:
    """State of one request. Times are milliseconds since the Unix epoch."""

    request_id: str
    tenant: str
    created_at: int
    outcome: Outcome | str = ""
    """Empty while it is pending."""
    settled_at: int | None = None
    http_status: int | None = None
    body: bytes = b""
    """JSON: the answer, or an object with the error."""

    def document(self) -> bytes:
        """Return the JSON for a caller that polls. The provider's answer is embedded as it is, without re-encoding."""
        document: dict[str, object] = {
            "id": self.request_id,
            "object": "request",
            "status": self.outcome or "pending",
            "created_at": self.created_at // 1000,
        }
        if self.settled_at is not None:
            document["settled_at"] = self.settled_at // 1000
            document["http_status"] = self.http_status
            document.update(self._content())
        return orjson.dumps(document)

    def _content(self) -> dict[str, object]:
        if self.outcome == ANSWERED:
            return {"response": orjson.Fragment(self.body or b"null")}
        return {"error": orjson.loads(self.body)["error"] if self.body else None}


class ReplyCache:
    """Pending and settled requests by id. The oldest is evicted first.

    It is no ``cachetools`` cache, because it has three limits at once, and an entry changes its size while it is kept.
    """

    def __init__(self, keep_s: float = KEEP_S, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._keep_s = keep_s
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._entries: OrderedDict[str, tuple[float, CachedReply]] = OrderedDict()
        self.bytes = 0
        """Size of all bodies."""

    def __len__(self) -> int:
        return len(self._entries)

    def mark_pending(self, request_id: str, tenant: str, created_at: int) -> bool:
        """Add a pending request; False if the request is known already, which does not change it."""
        if request_id in self._entries:
            return False
        self._entries[request_id] = (time.monotonic(), CachedReply(request_id, tenant, created_at))
        self._evict()
        return True

    def discard(self, request_id: str) -> None:
        """Remove a request that was not published."""
        entry = self._entries.pop(request_id, None)
        if entry is not None:
            self.bytes -= len(entry[1].body)

    def store(self, reply: Reply) -> bool:
        """Store the reply to a request; False if no caller may poll for it.

        If a request has several replies, because its idempotency key was reused, an answer is kept, because it was
        paid for; otherwise the last reply is kept.
        """
        entry = self._entries.get(reply.request_id)
        if entry is None:
            return False
        cached = entry[1]
        if cached.outcome == ANSWERED:
            return True
        self.bytes += len(reply.body) - len(cached.body)
        cached.outcome, cached.http_status, cached.body = reply.outcome, reply.status, reply.body
        cached.settled_at = time.time_ns() // 1_000_000
        self._evict()
        return True

    def get(self, request_id: str, tenant: str) -> CachedReply | None:
        """Return a request of this tenant, or None if it is unknown or another tenant's."""
        self._evict()
        entry = self._entries.get(request_id)
        return entry[1] if entry is not None and entry[1].tenant == tenant else None

    def _evict(self) -> None:
        oldest = time.monotonic() - self._keep_s
        while self._entries:
            request_id, (since, _) = next(iter(self._entries.items()))
            if since >= oldest and len(self._entries) <= self._max_entries and self.bytes <= self._max_bytes:
                return
            self.discard(request_id)
