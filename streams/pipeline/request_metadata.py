"""Metadata of a request: what its caller sends beside the body, in HTTP headers or in the headers of a Kafka record."""

from __future__ import annotations

import re

from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.parts import ReplyTo
from schemas.events.vocabulary import Lane, Operation

_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")


@frozen_slots
class RequestMetadata:
    """Metadata of one request, decoded and checked, the same for HTTP and Kafka."""

    received_at: int
    """Milliseconds since the Unix epoch."""
    operation: Operation
    idempotency_key: str = ""
    lane: Lane = "interactive"
    """The caller's choice; a tenant of the batch lane overrides it."""
    timeout_ms: int | None = None
    """Time that the caller waits; None for the default of the lane."""
    traceparent: str = ""
    """Not validated."""
    reply_to: ReplyTo | None = None
    stream_topic: str = ""


def valid_traceparent(traceparent: str) -> str:
    """Return a traceparent unchanged, or nothing if it is malformed: arbitrary text must not reach later events."""
    return traceparent if _TRACEPARENT.fullmatch(traceparent) else ""
