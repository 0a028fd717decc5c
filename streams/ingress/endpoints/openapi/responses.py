"""JSON Schemas of response bodies: the fields that are always present. Providers may add others."""

from __future__ import annotations

from typing import get_args

from schemas.events.vocabulary import Outcome
from schemas.json_types import JsonObject

TEXT: JsonObject = {"type": "string"}
NUMBER: JsonObject = {"type": "integer", "minimum": 0}
MAYBE_TEXT: JsonObject = {"type": ["string", "null"]}


def _object(required: JsonObject, optional: JsonObject | None = None) -> JsonObject:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _list(items: JsonObject) -> JsonObject:
    return {"type": "array", "items": items}


_USAGE = _object({"prompt_tokens": NUMBER, "total_tokens": NUMBER}, {"completion_tokens": NUMBER})
_MESSAGE = _object({"role": {"const": "assistant"}}, {"content": MAYBE_TEXT, "tool_calls": {"type": ["array", "null"]}})
_CHOICE = _object({"index": NUMBER, "message": _MESSAGE, "finish_reason": TEXT})
_VECTOR: JsonObject = {
    "anyOf": [_list({"type": "number"}), TEXT],
    "description": "Numbers, or base64 of 32-bit floats.",
}
_MODEL = _object({"id": TEXT, "object": {"const": "model"}, "created": NUMBER, "owned_by": TEXT})
_ERROR = _object({"message": TEXT, "type": TEXT, "param": MAYBE_TEXT, "code": MAYBE_TEXT})
_STATES = ["pending", *get_args(Outcome)]

ANSWERS: dict[str, JsonObject] = {
    "Completion": _object(
        {
            "id": TEXT,
            "object": {"const": "chat.completion"},
            "created": NUMBER,
            "model": TEXT,
            "choices": _list(_CHOICE),
        },
        {"usage": _USAGE},
    ),
    "Embeddings": _object(
        {
            "object": {"const": "list"},
            "model": TEXT,
            "data": _list(_object({"object": {"const": "embedding"}, "index": NUMBER, "embedding": _VECTOR})),
        },
        {"usage": _USAGE},
    ),
    "AnthropicMessage": _object(
        {
            "id": TEXT,
            "type": {"const": "message"},
            "role": {"const": "assistant"},
            "model": TEXT,
            "content": _list(_object({"type": TEXT})),
            "stop_reason": TEXT,
            "stop_sequence": MAYBE_TEXT,
            "usage": _object({"input_tokens": NUMBER, "output_tokens": NUMBER}),
        }
    ),
    "Response": _object(
        {
            "id": TEXT,
            "object": {"const": "response"},
            "created_at": NUMBER,
            "model": TEXT,
            "status": {"enum": ["completed", "incomplete"]},
            "output": _list(_object({"id": TEXT, "type": TEXT})),
        },
        {"usage": {"type": ["object", "null"]}},
    ),
    "StreamEvent": {
        **_object({"data": TEXT}, {"id": {"type": "string", "pattern": "^[0-9]+$"}, "event": TEXT}),
        "description": "One event of a stream: data is JSON of the client's API, or [DONE]; id is a chunk's number.",
    },
    "Error": _object({"error": _ERROR}),
    "AnthropicError": _object({"type": {"const": "error"}, "error": _object({"type": TEXT, "message": TEXT})}),
    "Accepted": _object({"id": TEXT, "object": {"const": "request"}, "status": {"const": "pending"}}),
    "RecordedRequest": _object(
        {"id": TEXT, "object": {"const": "request"}, "status": {"enum": _STATES}, "created_at": NUMBER},
        {
            "settled_at": NUMBER,
            "http_status": NUMBER,
            "response": {"type": "object"},
            "error": {"type": ["object", "null"]},
        },
    ),
    "Model": _MODEL,
    "Models": _object({"object": {"const": "list"}, "data": _list({"$ref": "#/components/schemas/Model"})}),
    "AcceptedFeedback": _object(
        {"object": {"const": "feedback"}, "request_id": {"type": "string", "format": "uuid"}, "status": TEXT}
    ),
    "Health": _object({"status": {"const": "ok"}}),
    "Readiness": _object(
        {"status": {"enum": ["ready", "unavailable"]}},
        {"reason": TEXT, "partitions_without_worker": {"type": "object", "additionalProperties": NUMBER}},
    ),
    "Document": _object({"openapi": TEXT, "info": {"type": "object"}, "paths": {"type": "object"}}),
}
