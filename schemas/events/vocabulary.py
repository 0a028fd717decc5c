"""Moved out of schemas/events/catalog.py."""

from __future__ import annotations

from typing import Annotated, Literal

Millis = Annotated[int, "timestamp-millis"]
"""A point in time: milliseconds since the Unix epoch, UTC. Avro's logical type of the same name."""


Operation = Literal["chat", "embeddings"]
"""OpenTelemetry's gen_ai.operation.name."""


Outcome = Literal["answered", "refused", "failed", "expired"]
"""How a request ends. Refused: by us, before any provider was asked. Failed: by every provider asked."""


Lane = Literal["interactive", "batch"]
"""Which way a request takes. Interactive: somebody waits. Batch: many at once, behind all who wait."""


ErrorType = Literal[
    "rate_limited",
    "capacity",
    "quota_exhausted",
    "context_length",
    "request_too_large",
    "answer_too_large",
    "content_filter",
    "invalid_request",
    "auth",
    "not_found",
    "timeout",
    "server",
    "network",
]
"""The classes of a provider's errors; only these decide retry and fallback."""


TargetState = Literal["closed", "open", "half_open"]
"""Of a circuit breaker. Closed: calls go through. Open: none do. Half open: a few do, to find out."""


RoutePolicy = Literal["ordered", "weighted", "latency"]
"""How targets come into their order: as written, drawn by weight, or by who would answer soonest at the call."""


OnOversize = Literal["split", "reject"]
"""What to do with an embeddings request that is too much for one call of a provider."""
