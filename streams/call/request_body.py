"""Moved out of streams/call/idempotency/fingerprint.py."""

from __future__ import annotations

from typing import Any

import orjson

from schemas.events.catalog import RequestRouted
from streams.pipeline.stage import DeadLetterError


def body_for_target(routed: RequestRouted) -> dict[str, Any]:
    """Read the body.

    Raises:
        DeadLetterError: it is not a JSON object.

    """
    try:
        body = orjson.loads(routed.body)
    except orjson.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise DeadLetterError("the body of the routed request is not a JSON object")
    return body


def wants_usage(body: dict[str, Any]) -> bool:
    """Whether a stream shall end with a chunk that holds the usage."""
    options = body.get("stream_options") or {}
    return isinstance(options, dict) and bool(options.get("include_usage"))
