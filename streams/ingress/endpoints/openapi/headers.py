"""The headers that callers may send, and those that come back, as OpenAPI has them."""

from __future__ import annotations

from typing import Any, get_args

from schemas.events.vocabulary import Lane, Outcome
from schemas.kafka.request_headers import MAX_IDEMPOTENCY_KEY_CHARACTERS, MAX_TIMEOUT_MS
from streams.ingress.middleware import ID_HEADERS

JSON = dict[str, Any]


def parameter(name: str, schema: JSON, description: str, place: str = "header") -> JSON:
    """One parameter of a request; in its path it is always there, elsewhere it may be left out."""
    said = {"name": name, "in": place, "description": description, "schema": schema}
    return {**said, "required": True} if place == "path" else said


ASKING: list[JSON] = [
    parameter(
        "Idempotency-Key",
        {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY_CHARACTERS},
        "Names the request within its tenant: for a day, the same name gets the recorded answer.",
    ),
    parameter(
        "X-Request-Timeout",
        {"type": "number", "exclusiveMinimum": 0},
        f"Seconds that the caller waits; {MAX_TIMEOUT_MS // 1000} count for anything above.",
    ),
    parameter("X-Sluice-Lane", {"enum": list(get_args(Lane))}, "Whether this may come after all that is waited for."),
    parameter("Prefer", {"type": "string"}, "respond-async: answer 202 at once, and ask for the answer later."),
    parameter("traceparent", {"type": "string"}, "The caller's trace (W3C), passed on through every stage."),
]
"""Of the operations."""

RESUMING: list[JSON] = [
    parameter("Last-Event-ID", {"type": "integer", "minimum": -1}, "The number of the last chunk that came."),
    parameter("after", {"type": "integer", "minimum": -1}, "The same, for who can set no header.", "query"),
]
"""Of a stream that goes on."""


def _returned(schema: JSON, description: str) -> JSON:
    return {"schema": schema, "description": description}


STAMPED: JSON = {
    name.decode(): {**_returned({"type": "string", "format": "uuid"}, "The request's id."), "required": True}
    for name in ID_HEADERS
}
"""On every response of the application."""

REPLIED: JSON = {
    "x-sluice-outcome": _returned({"enum": list(get_args(Outcome))}, "How the request ended."),
    "x-sluice-target": _returned({"type": "string"}, "The provider/model that answered, or failed last."),
}
"""On a reply, also on one that is an error."""

LOCATION: JSON = {"Location": _returned({"type": "string"}, "Where to ask for the answer.")}

RETRY: JSON = {
    "Retry-After": _returned({"type": "integer", "minimum": 0}, "Seconds until another try makes sense."),
    "retry-after-ms": _returned({"type": "integer", "minimum": 0}, "The same in milliseconds."),
    "x-should-retry": _returned({"const": "false"}, "The gateway has tried all that makes sense."),
}
"""On an error, where somebody knows."""

HEADERS: JSON = {**STAMPED, **REPLIED, **LOCATION, **RETRY}
"""All of them, each described once."""


def named(*several: JSON) -> JSON:
    """The headers of a response, by reference to where they are described."""
    return {name: {"$ref": f"#/components/headers/{name}"} for headers in several for name in headers}
