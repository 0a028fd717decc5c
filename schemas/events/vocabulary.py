"""Types and enumerations of event fields."""

from __future__ import annotations

from typing import Annotated, Literal

Millis = Annotated[int, "timestamp-millis"]
"""A point in time: milliseconds since the Unix epoch, UTC. Avro's logical type of the same name."""


Operation = Literal["chat", "embeddings"]
"""OpenTelemetry's gen_ai.operation.name."""


Outcome = Literal["answered", "refused", "failed", "expired"]
"""Result of a request. Refused: by Sluice, before any provider was called. Failed: by every provider called."""


Lane = Literal["interactive", "batch"]
"""Priority class of a request. Batch requests are processed after all interactive ones."""


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
"""Classes of provider errors. Retry and fallback depend on nothing else."""


TargetState = Literal["closed", "open", "half_open"]
"""State of a circuit breaker. Closed: calls pass. Open: no call passes. Half open: a few probes pass."""


RoutePolicy = Literal["ordered", "weighted", "latency"]
"""Order of targets: as configured, drawn by weight, or by the lowest expected latency at the time of the call."""


OnOversize = Literal["split", "reject"]
"""Treatment of an embeddings request that exceeds a provider's limits for one call."""
