"""Body of a routed request."""

from __future__ import annotations

import orjson

from schemas.events.catalog import RequestRouted
from schemas.json_types import JsonObject
from streams.pipeline.stage import DeadLetterError


def parse_body(routed: RequestRouted) -> JsonObject:
    """Parse the body.

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


def wants_usage(body: JsonObject) -> bool:
    """Return whether a stream ends with a chunk that has the usage."""
    options = body.get("stream_options") or {}
    return isinstance(options, dict) and bool(options.get("include_usage"))
