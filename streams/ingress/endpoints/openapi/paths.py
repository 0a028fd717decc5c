"""OpenAPI definitions of the paths: parameters, bodies, responses and errors."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus

from schemas.json_types import JsonObject
from streams.ingress.endpoints.openapi.headers import (
    ID_HEADER_SCHEMAS,
    LOCATION,
    REPLY_HEADERS,
    REQUEST_PARAMETERS,
    RESUME_PARAMETERS,
    RETRY,
    header_references,
    parameter,
)
from streams.ingress.endpoints.openapi.request_bodies import PLACE
from streams.pipeline.failures import ERROR_MAPPINGS, EXPIRED, IDEMPOTENCY_KEY_REUSED, IN_DOUBT

TYPE = "application/json"
SECURITY: list[JsonObject] = [{"bearer": []}, {"key": []}, {}]
"""The last entry, no key, applies while no keys are configured."""

_HEAD = {400, 408, 431}
"""Statuses of any request, rejected before its path is known."""
_CRASH = {500}
_CALLER = {401, 403}
_BODY = {413, 415}
_ADMISSION = {429, 503, 504}
_STAGES = {mapping.status for mapping in ERROR_MAPPINGS.values()} | {401, 403, 404, 503}
_STAGES |= {EXPIRED.status, IN_DOUBT.status, IDEMPOTENCY_KEY_REUSED.status}
OPERATION = _HEAD | _CRASH | _CALLER | _BODY | _ADMISSION | _STAGES
READING = _HEAD | _CRASH | _CALLER
WATCHING = _HEAD | _CRASH | {403}

_REQUEST_ID = parameter("request_id", {"type": "string", "format": "uuid"}, "The X-Request-Id of the call.", "path")
_MODEL = parameter("model", {"type": "string", "minLength": 1}, "A configured model name.", "path")


def _content(schema: str, kind: str = TYPE) -> JsonObject:
    return {kind: {"schema": {"$ref": f"{PLACE}{schema}"}}}


STREAM = _content("StreamEvent", "text/event-stream")


def _answer(status: int, content: JsonObject, *headers: JsonObject) -> JsonObject:
    return {"description": HTTPStatus(status).phrase, "headers": header_references(*headers), "content": content}


def errors() -> dict[str, JsonObject]:
    """Return all errors, in OpenAI's and in Anthropic's format. Errors in the head of a request have no request id."""
    return {
        f"{schema}{status}": _answer(
            status, _content(schema), RETRY, REPLY_HEADERS, {} if status in _HEAD else ID_HEADER_SCHEMAS
        )
        for schema in ("Error", "AnthropicError")
        for status in sorted(OPERATION)
    }


def _errors(statuses: Iterable[int], schema: str = "Error") -> JsonObject:
    return {str(status): {"$ref": f"#/components/responses/{schema}{status}"} for status in sorted(statuses)}


def _operation(summary: str, body: str, answer: str, error: str = "Error") -> JsonObject:
    return {
        "post": {
            "summary": summary,
            "security": SECURITY,
            "parameters": REQUEST_PARAMETERS,
            "requestBody": {"required": True, "content": _content(body)},
            "responses": {
                "200": _answer(200, _content(answer) | STREAM, ID_HEADER_SCHEMAS, REPLY_HEADERS),
                "202": _answer(202, _content("Accepted"), ID_HEADER_SCHEMAS, LOCATION),
                **_errors(OPERATION, error),
            },
        }
    }


def _reading(
    summary: str, answer: JsonObject, *parameters: JsonObject, errors: Iterable[int] = (), key: bool = True
) -> JsonObject:
    return {
        "get": {
            "summary": summary,
            "security": SECURITY if key else [],
            "parameters": list(parameters),
            "responses": {
                "200": _answer(200, answer, ID_HEADER_SCHEMAS),
                **_errors({*(READING if key else WATCHING), *errors}),
            },
        }
    }


def _feedback() -> JsonObject:
    return {
        "post": {
            "summary": "Feedback on an answer.",
            "security": SECURITY,
            "requestBody": {"required": True, "content": _content("FeedbackBody")},
            "responses": {
                "202": _answer(202, _content("AcceptedFeedback"), ID_HEADER_SCHEMAS),
                **_errors(READING | _BODY | {503}),
            },
        }
    }


def _readiness() -> JsonObject:
    operation = _reading("Readiness of the gateway.", _content("Readiness"), key=False)
    operation["get"]["responses"]["503"] = _answer(503, _content("Readiness"), ID_HEADER_SCHEMAS)
    return operation


def _metrics() -> JsonObject:
    kinds = ("text/plain", "application/openmetrics-text")
    return {kind: {"schema": {"type": "string"}} for kind in kinds}


def paths() -> dict[str, JsonObject]:
    """Return all paths of the ingress."""
    return {
        "/v1/chat/completions": _operation("OpenAI's chat completion.", "ChatBody", "Completion"),
        "/v1/messages": _operation("Anthropic's Messages.", "MessagesBody", "AnthropicMessage", "AnthropicError"),
        "/v1/responses": _operation("OpenAI's Responses.", "ResponsesBody", "Response"),
        "/v1/embeddings": _operation("OpenAI's embeddings.", "EmbeddingsBody", "Embeddings"),
        "/v1/requests/{request_id}": _reading(
            "State and answer of a request.", _content("RecordedRequest"), _REQUEST_ID, errors=(404, 503)
        ),
        "/v1/requests/{request_id}/stream": _reading(
            "Chunks of a streamed answer, after a number.", STREAM, _REQUEST_ID, *RESUME_PARAMETERS, errors=(404,)
        ),
        "/v1/feedback": _feedback(),
        "/v1/models": _reading("Configured models that this caller may use.", _content("Models")),
        "/v1/models/{model}": _reading("One configured model.", _content("Model"), _MODEL, errors=(404,)),
        "/healthz": _reading("Liveness of the process.", _content("Health"), key=False),
        "/readyz": _readiness(),
        "/metrics": _reading("Metrics for Prometheus.", _metrics(), key=False),
        "/openapi.json": _reading("This document.", _content("Document"), key=False),
    }
