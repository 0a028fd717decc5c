"""JSON Schemas of request bodies: OpenAI's from the models that validate them, others from their translators."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.json_types import JsonObject
from schemas.openai.bodies import ChatBody, EmbeddingsBody
from schemas.openai.json_schema import model_json_schema
from streams.ingress.endpoints.feedback import FeedbackBody
from streams.ingress.translators.anthropic import request as anthropic_request
from streams.ingress.translators.responses import request as responses_request

PLACE = "#/components/schemas/"

_TEXT: JsonObject = {"type": "string"}
_BLOCK: JsonObject = {"type": "object", "required": ["type"], "properties": {"type": _TEXT}}
_TEXT_BLOCK: JsonObject = {"required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": _TEXT}}
_BLOCKS: JsonObject = {"type": "array", "items": {"anyOf": [_BLOCK | _TEXT_BLOCK, _BLOCK]}}
_MESSAGE: JsonObject = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"anyOf": [_TEXT, _BLOCKS]}},
}
_MESSAGES: JsonObject = {"type": "array", "items": _MESSAGE, "minItems": 1}
_OBJECT: JsonObject = {"type": ["object", "null"]}
_PARAMETERS: dict[str, JsonObject] = {
    "model": {"type": "string", "minLength": 1},
    "messages": _MESSAGES,
    "system": {"anyOf": [{"type": ["string", "null"]}, _BLOCKS]},
    "input": {"anyOf": [_TEXT, _MESSAGES]},
    "instructions": {"type": ["string", "null"]},
    "stream": {"type": ["boolean", "null"]},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    **dict.fromkeys(("metadata", "thinking", "output_config", "text", "reasoning"), _OBJECT),
    "tools": {"type": ["array", "null"], "items": {"type": "object"}},
}
"""Schemas of those parameters of translated APIs whose type is simple."""


def bodies() -> dict[str, JsonObject]:
    """Return all schemas of request bodies, by name."""
    return {
        **model_json_schema(PLACE, ChatBody, EmbeddingsBody, FeedbackBody),
        "MessagesBody": _translated_body(_names(anthropic_request) | {"messages", "system"}, "model", "messages"),
        "ResponsesBody": _translated_body(
            _names(responses_request) | responses_request.DEFAULTS.keys() | {"input", "instructions"}, "model", "input"
        ),
    }


def _names(module: Any) -> set[str]:  # noqa: ANN401 - one of the two modules that translate requests
    return {*module.PASSED_THROUGH, *module.DROPPED, *module.PARAMETER_WRITERS}


def _translated_body(names: Iterable[str], *required: str) -> JsonObject:
    """Return the schema of a translated body. Unknown parameters are refused."""
    properties = {name: _PARAMETERS.get(name, {}) for name in sorted(names)}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}
