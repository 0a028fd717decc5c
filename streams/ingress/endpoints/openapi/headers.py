"""OpenAPI definitions of request and response headers."""

from __future__ import annotations

from typing import get_args

from schemas.events.vocabulary import Lane, Outcome
from schemas.json_types import JsonObject
from schemas.kafka.request_headers import MAX_IDEMPOTENCY_KEY_CHARACTERS, MAX_TIMEOUT_MS
from streams.ingress.middleware import ID_HEADERS


def parameter(name: str, schema: JsonObject, description: str, place: str = "header") -> JsonObject:
    """Return a parameter object. Parameters in a path are required, all others are optional."""
    definition = {"name": name, "in": place, "description": description, "schema": schema}
    return {**definition, "required": True} if place == "path" else definition


REQUEST_PARAMETERS: list[JsonObject] = [
    parameter(
        "Idempotency-Key",
        {"type": "string", "maxLength": MAX_IDEMPOTENCY_KEY_CHARACTERS},
        "Identifies the request within its tenant. For a day, the same key gets the recorded answer.",
    ),
    parameter(
        "X-Request-Timeout",
        {"type": "number", "exclusiveMinimum": 0},
        f"Seconds that the client waits, at most {MAX_TIMEOUT_MS // 1000}.",
    ),
    parameter(
        "X-Sluice-Lane",
        {"enum": list(get_args(Lane))},
        "Lane of the request. Requests of the batch lane run after interactive ones.",
    ),
    parameter("Prefer", {"type": "string"}, "respond-async: answer 202 at once; the client polls for the answer."),
    parameter("traceparent", {"type": "string"}, "W3C trace context, passed on through every stage."),
]
"""Parameters of the inference endpoints."""

RESUME_PARAMETERS: list[JsonObject] = [
    parameter("Last-Event-ID", {"type": "integer", "minimum": -1}, "Number of the last chunk received."),
    parameter("after", {"type": "integer", "minimum": -1}, "The same, for clients that can't set headers.", "query"),
]
"""Parameters of a stream's resumption."""


def _header(schema: JsonObject, description: str) -> JsonObject:
    return {"schema": schema, "description": description}


ID_HEADER_SCHEMAS: JsonObject = {
    name.decode(): {**_header({"type": "string", "format": "uuid"}, "Id of the request."), "required": True}
    for name in ID_HEADERS
}
"""Headers of every response of the application."""

REPLY_HEADERS: JsonObject = {
    "x-sluice-outcome": _header({"enum": list(get_args(Outcome))}, "Outcome of the request."),
    "x-sluice-target": _header({"type": "string"}, "Provider/model that answered, or that failed last."),
}
"""Headers of every reply, including errors."""

LOCATION: JsonObject = {"Location": _header({"type": "string"}, "URL to poll for the answer.")}

RETRY: JsonObject = {
    "Retry-After": _header({"type": "integer", "minimum": 0}, "Seconds to wait before a retry."),
    "retry-after-ms": _header({"type": "integer", "minimum": 0}, "The same in milliseconds."),
    "x-should-retry": _header({"const": "false"}, "The gateway has made all useful retries."),
}
"""Headers of an error, where the values are known."""

HEADERS: JsonObject = {**ID_HEADER_SCHEMAS, **REPLY_HEADERS, **LOCATION, **RETRY}
"""All response headers, each defined once."""


def header_references(*several: JsonObject) -> JsonObject:
    """Return the headers of a response, as references to their definitions."""
    return {name: {"$ref": f"#/components/headers/{name}"} for headers in several for name in headers}
