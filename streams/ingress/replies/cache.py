"""The answers of callers that ask for them later: kept for a while and up to a size; beyond that, ClickHouse knows."""

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
    """What is known of one request. Times are milliseconds since the Unix epoch."""

    request_id: str
    tenant: str
    created_at: int
    outcome: Outcome | str = ""
    """Empty while it is pending."""
    settled_at: int | None = None
    http_status: int | None = None
    body: bytes = b""
    """JSON: the answer, or an object that holds the error."""

    def document(self) -> bytes:
        """The JSON that a poll gets. The answer stands in it as the provider's text, not written anew."""
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
    """Pending and settled requests by id, the oldest leaving first."""

    def __init__(self, keep_s: float = KEEP_S, max_entries: int = MAX_ENTRIES, max_bytes: int = MAX_BYTES) -> None:
        self._keep_s = keep_s
        self._max_entries = max_entries
        self._max_bytes = max_bytes
        self._kept: OrderedDict[str, tuple[float, CachedReply]] = OrderedDict()
        self.bytes = 0
        """Of all bodies together."""

    def __len__(self) -> int:
        return len(self._kept)

    def mark_pending(self, request_id: str, tenant: str, created_at: int) -> bool:
        """From now on this request is pending; False if it is known already, and then it stays what it is."""
        if request_id in self._kept:
            return False
        self._kept[request_id] = (time.monotonic(), CachedReply(request_id, tenant, created_at))
        self._evict()
        return True

    def discard(self, request_id: str) -> None:
        """The request never came to be."""
        entry = self._kept.pop(request_id, None)
        if entry is not None:
            self.bytes -= len(entry[1].body)

    def store(self, reply: Reply) -> bool:
        """Keep the end of a request; False if nobody asked for it.

        Of several under one name, as of a key that was used again, an answer stays, since it was paid; else the last.
        """
        entry = self._kept.get(reply.request_id)
        if entry is None:
            return False
        answer = entry[1]
        if answer.outcome == ANSWERED:
            return True
        self.bytes += len(reply.body) - len(answer.body)
        answer.outcome, answer.http_status, answer.body = reply.outcome, reply.status, reply.body
        answer.settled_at = time.time_ns() // 1_000_000
        self._evict()
        return True

    def get(self, request_id: str, tenant: str) -> CachedReply | None:
        """What is known of a tenant's own request; None of another's."""
        self._evict()
        entry = self._kept.get(request_id)
        return entry[1] if entry is not None and entry[1].tenant == tenant else None

    def _evict(self) -> None:
        oldest = time.monotonic() - self._keep_s
        while self._kept:
            request_id, (since, _) = next(iter(self._kept.items()))
            if since >= oldest and len(self._kept) <= self._max_entries and self.bytes <= self._max_bytes:
                return
            self.discard(request_id)
