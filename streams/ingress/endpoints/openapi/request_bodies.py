"""What goes in, as JSON Schema: our shapes of OpenAI's bodies; of the APIs in front, the names that they translate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from schemas.openai.bodies import ChatBody, EmbeddingsBody
from schemas.openai.json_schema import model_json_schema
from streams.ingress.endpoints.feedback import FeedbackBody
from streams.ingress.translators.anthropic import request as anthropic_request
from streams.ingress.translators.responses import request as responses_request

JSON = dict[str, Any]

PLACE = "#/components/schemas/"

_TEXT: JSON = {"type": "string"}
_BLOCK: JSON = {"type": "object", "required": ["type"], "properties": {"type": _TEXT}}
_WORDS: JSON = {"required": ["type", "text"], "properties": {"type": {"const": "text"}, "text": _TEXT}}
_BLOCKS: JSON = {"type": "array", "items": {"anyOf": [_BLOCK | _WORDS, _BLOCK]}}
_TURN: JSON = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"anyOf": [_TEXT, _BLOCKS]}},
}
_TURNS: JSON = {"type": "array", "items": _TURN, "minItems": 1}
_OBJECT: JSON = {"type": ["object", "null"]}
_KNOWN: dict[str, JSON] = {
    "model": {"type": "string", "minLength": 1},
    "messages": _TURNS,
    "system": {"anyOf": [{"type": ["string", "null"]}, _BLOCKS]},
    "input": {"anyOf": [_TEXT, _TURNS]},
    "instructions": {"type": ["string", "null"]},
    "stream": {"type": ["boolean", "null"]},
    "max_tokens": {"type": ["integer", "null"], "minimum": 1},
    "max_output_tokens": {"type": ["integer", "null"], "minimum": 1},
    "temperature": {"type": ["number", "null"], "minimum": 0, "maximum": 2},
    "top_p": {"type": ["number", "null"], "minimum": 0, "maximum": 1},
    **dict.fromkeys(("metadata", "thinking", "output_config", "text", "reasoning"), _OBJECT),
    "tools": {"type": ["array", "null"], "items": {"type": "object"}},
}
"""Of the parameters of the APIs in front: those whose type can be said in a line."""


def bodies() -> dict[str, JSON]:
    """All schemas of bodies, by name."""
    return {
        **model_json_schema(PLACE, ChatBody, EmbeddingsBody, FeedbackBody),
        "MessagesBody": _front(_names(anthropic_request) | {"messages", "system"}, "model", "messages"),
        "ResponsesBody": _front(
            _names(responses_request) | responses_request.DEFAULTS.keys() | {"input", "instructions"}, "model", "input"
        ),
    }


def _names(module: Any) -> set[str]:  # noqa: ANN401 - one of the two modules that translate requests
    return {*module.PASSED_THROUGH, *module.DROPPED, *module.PARAMETER_WRITERS}


def _front(names: Iterable[str], *required: str) -> JSON:
    """A body of an API in front: what it does not know it refuses by its name."""
    properties = {name: _KNOWN.get(name, {}) for name in sorted(names)}
    return {"type": "object", "required": list(required), "properties": properties, "additionalProperties": False}
