"""What stands at each path: what it takes, what it answers, and how it fails."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from streams.ingress.endpoints.openapi.headers import (
    ASKING,
    LOCATION,
    REPLIED,
    RESUMING,
    RETRY,
    STAMPED,
    named,
    parameter,
)
from streams.ingress.endpoints.openapi.request_bodies import PLACE
from streams.pipeline.failures import ERROR_MAPPINGS, EXPIRED, IDEMPOTENCY_KEY_REUSED, IN_DOUBT

JSON = dict[str, Any]

TYPE = "application/json"
SECURITY: list[JSON] = [{"bearer": []}, {"key": []}, {}]
"""The last of them, none, is enough while no keys are configured."""

_HEAD = {400, 408, 431}
"""Any request may be refused before its path is known."""
_CRASH = {500}
_CALLER = {401, 403}
_BODY = {413, 415}
_ADMISSION = {429, 503, 504}
_STAGES = {telling.status for telling in ERROR_MAPPINGS.values()} | {401, 403, 404, 503}
_STAGES |= {EXPIRED.status, IN_DOUBT.status, IDEMPOTENCY_KEY_REUSED.status}
OPERATION = _HEAD | _CRASH | _CALLER | _BODY | _ADMISSION | _STAGES
READING = _HEAD | _CRASH | _CALLER
WATCHING = _HEAD | _CRASH

_REQUEST_ID = parameter("request_id", {"type": "string", "format": "uuid"}, "The X-Request-Id of the call.", "path")
_MODEL = parameter("model", {"type": "string", "minLength": 1}, "A configured name.", "path")


def _content(schema: str, kind: str = TYPE) -> JSON:
    return {kind: {"schema": {"$ref": f"{PLACE}{schema}"}}}


STREAM = _content("StreamEvent", "text/event-stream")


def _answer(status: int, content: JSON, *headers: JSON) -> JSON:
    return {"description": HTTPStatus(status).phrase, "headers": named(*headers), "content": content}


def errors() -> dict[str, JSON]:
    """Every error, in OpenAI's words and in Anthropic's; one of a head alone may be the socket's, and has no id."""
    return {
        f"{schema}{status}": _answer(status, _content(schema), RETRY, REPLIED, {} if status in _HEAD else STAMPED)
        for schema in ("Error", "AnthropicError")
        for status in sorted(OPERATION)
    }


def _errors(statuses: Iterable[int], schema: str = "Error") -> JSON:
    return {str(status): {"$ref": f"#/components/responses/{schema}{status}"} for status in sorted(statuses)}


def _operation(summary: str, body: str, answer: str, error: str = "Error") -> JSON:
    return {
        "post": {
            "summary": summary,
            "security": SECURITY,
            "parameters": ASKING,
            "requestBody": {"required": True, "content": _content(body)},
            "responses": {
                "200": _answer(200, _content(answer) | STREAM, STAMPED, REPLIED),
                "202": _answer(202, _content("Accepted"), STAMPED, LOCATION),
                **_errors(OPERATION, error),
            },
        }
    }


def _reading(summary: str, answer: JSON, *parameters: JSON, errors: Iterable[int] = (), key: bool = True) -> JSON:
    return {
        "get": {
            "summary": summary,
            "security": SECURITY if key else [],
            "parameters": list(parameters),
            "responses": {
                "200": _answer(200, answer, STAMPED),
                **_errors({*(READING if key else WATCHING), *errors}),
            },
        }
    }


def _feedback() -> JSON:
    return {
        "post": {
            "summary": "A judgement of an answer.",
            "security": SECURITY,
            "requestBody": {"required": True, "content": _content("FeedbackBody")},
            "responses": {
                "202": _answer(202, _content("AcceptedFeedback"), STAMPED),
                **_errors(READING | _BODY | {503}),
            },
        }
    }


def _readiness() -> JSON:
    made = _reading("Whether a request would be answered now.", _content("Readiness"), key=False)
    made["get"]["responses"]["503"] = _answer(503, _content("Readiness"), STAMPED)
    return made


def _metrics() -> JSON:
    kinds = ("text/plain", "application/openmetrics-text")
    return {kind: {"schema": {"type": "string"}} for kind in kinds}


def paths() -> dict[str, JSON]:
    """Every path of the ingress."""
    return {
        "/v1/chat/completions": _operation("OpenAI's chat completion.", "ChatBody", "Completion"),
        "/v1/messages": _operation("Anthropic's Messages.", "MessagesBody", "AnthropicMessage", "AnthropicError"),
        "/v1/responses": _operation("OpenAI's Responses.", "ResponsesBody", "Response"),
        "/v1/embeddings": _operation("OpenAI's embeddings.", "EmbeddingsBody", "Embeddings"),
        "/v1/requests/{request_id}": _reading(
            "What became of a request.", _content("RecordedRequest"), _REQUEST_ID, errors=(404, 503)
        ),
        "/v1/requests/{request_id}/stream": _reading(
            "The chunks of a streamed answer, from a number on.", STREAM, _REQUEST_ID, *RESUMING, errors=(404,)
        ),
        "/v1/feedback": _feedback(),
        "/v1/models": _reading("The configured names that this caller may use.", _content("Models")),
        "/v1/models/{model}": _reading("One of them.", _content("Model"), _MODEL, errors=(404,)),
        "/healthz": _reading("Whether the process lives.", _content("Health"), key=False),
        "/readyz": _readiness(),
        "/metrics": _reading("Everything that is counted, for Prometheus.", _metrics(), key=False),
        "/openapi.json": _reading("This document.", _content("Document"), key=False),
    }
