"""Reader of the HTTP headers of a request: they become the same metadata as the headers of a Kafka record."""

from __future__ import annotations

import re
import time

from schemas.events.vocabulary import Lane, Operation
from schemas.kafka.request_headers import LANES, MAX_IDEMPOTENCY_KEY_CHARACTERS, MAX_TIMEOUT_MS
from streams.ingress.errors import bad_request
from streams.pipeline.request_metadata import RequestMetadata


def read_metadata(headers: dict[bytes, bytes], operation: Operation) -> RequestMetadata:
    """Return the metadata of a request that is received now. The reply address is added later.

    Raises:
        ApiError: 400, a header is invalid.

    """
    return RequestMetadata(
        received_at=time.time_ns() // 1_000_000,
        operation=operation,
        idempotency_key=_idempotency_key(headers),
        lane=_lane(headers),
        timeout_ms=_timeout_ms(headers),
        traceparent=headers.get(b"traceparent", b"").decode("latin-1"),
    )


def prefers_async(headers: dict[bytes, bytes]) -> bool:
    """Return whether the client wants 202 at once and will poll for the answer (``Prefer`` of RFC 7240)."""
    return b"respond-async" in re.split(rb"[\s,;]+", headers.get(b"prefer", b"").lower())


def _idempotency_key(headers: dict[bytes, bytes]) -> str:
    try:
        key = headers.get(b"idempotency-key", b"").decode()
    except UnicodeDecodeError:
        raise bad_request("invalid_header", "Idempotency-Key is not UTF-8.") from None
    if len(key) > MAX_IDEMPOTENCY_KEY_CHARACTERS:
        message = f"Idempotency-Key is longer than {MAX_IDEMPOTENCY_KEY_CHARACTERS} characters."
        raise bad_request("invalid_header", message)
    return key


def _lane(headers: dict[bytes, bytes]) -> Lane:
    lane = LANES.get(headers.get(b"x-sluice-lane", b"").decode("latin-1"))
    if lane is None:
        raise bad_request("invalid_header", "X-Sluice-Lane is neither interactive nor batch.")
    return lane


def _timeout_ms(headers: dict[bytes, bytes]) -> int | None:
    """Return the value of X-Request-Timeout, at most an hour; None without one."""
    value = headers.get(b"x-request-timeout")
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:  # also true of NaN
        raise bad_request("invalid_header", "X-Request-Timeout must be a positive number of seconds.")
    return round(min(seconds, MAX_TIMEOUT_MS / 1000) * 1000)
