"""Cache of replies for callers that poll, limited by age and size. ClickHouse has all others."""

from __future__ import annotations

import time
from dataclasses import dataclass

import orjson

from schemas.events.vocabulary import Outcome
from streams.ingress.replies.reader import Reply
from streams.pipeline.fair_store import FairStore

KEEP_S = 3600.0
MAX_BYTES = 64 * 1024 * 1024
ENTRY_BYTES = 1024
"""Size of an entry besides its body. Measured: 0.4 KB while it is pending, and more with a body."""
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
    """Pending and settled requests by id. Beyond the limit, the tenant that holds most loses its oldest."""

    def __init__(self, keep_s: float = KEEP_S, max_bytes: int = MAX_BYTES) -> None:
        self._entries = FairStore[CachedReply](max_bytes, keep_s)

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def bytes(self) -> int:
        """Size of all entries."""
        return self._entries.weight

    def mark_pending(self, request_id: str, tenant: str, created_at: int) -> bool:
        """Add a pending request; False if the request is known already, which does not change it."""
        if self._entries.get(request_id, tenant) is not None:
            return False
        self._entries.put(request_id, tenant, CachedReply(request_id, tenant, created_at), ENTRY_BYTES)
        return True

    def discard(self, request_id: str) -> None:
        """Remove a request that was not published."""
        self._entries.discard(request_id)

    def store(self, reply: Reply) -> bool:
        """Store the reply to a request; False if no caller may poll for it.

        If a request has several replies, because its idempotency key was reused, an answer is kept, because it was
        paid for; otherwise the last reply is kept.
        """
        cached = self._entries.peek(reply.request_id)
        if cached is None:
            return False
        if cached.outcome == ANSWERED:
            return True
        cached.outcome, cached.http_status, cached.body = reply.outcome, reply.status, reply.body
        cached.settled_at = time.time_ns() // 1_000_000
        self._entries.reweigh(reply.request_id, ENTRY_BYTES + len(reply.body))
        return True

    def get(self, request_id: str, tenant: str) -> CachedReply | None:
        """Return a request of this tenant, or None if it is unknown or another tenant's."""
        return self._entries.get(request_id, tenant)
