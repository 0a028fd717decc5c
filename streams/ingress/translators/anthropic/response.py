"""Translation of chat completions and errors into Anthropic's format.

Source: Anthropic's API reference, "Create a Message", and its pages "Stop reasons" and "Errors".
"""

from __future__ import annotations

import orjson

from schemas.json_types import JsonObject
from schemas.openai.bodies import nesting_depth
from streams.ingress.translators.anthropic.messages import OWN
from streams.ingress.translators.translator import serial

MAX_ARGUMENTS_DEPTH = 200
"""Deeper arguments of a tool call stay text, because a document of more than 254 levels can't be written."""

NATIVE = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
)
"""Anthropic's stop reasons, which are used if Anthropic was the provider."""
STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}
ERROR_TYPES = {
    "rate_limit_exceeded": "rate_limit_error",
    "insufficient_quota": "rate_limit_error",
    "rate_limit_error": "rate_limit_error",
    "capacity": "overloaded_error",
    "overloaded": "overloaded_error",
    "provider_unavailable": "overloaded_error",
    "request_too_large": "request_too_large",
    "invalid_api_key": "authentication_error",
    "permission_error": "permission_error",
    "not_local": "permission_error",
    "model_not_found": "not_found_error",
    "request_not_found": "not_found_error",
    "stream_not_found": "not_found_error",
    "unknown_url": "not_found_error",
    "timeout": "timeout_error",
    "deadline_exceeded": "timeout_error",
    "stream_cut": "timeout_error",
    "server_error": "api_error",
}
"""Anthropic's error type, by error code, else by OpenAI's type; all others are invalid requests."""


def message(completion: JsonObject) -> JsonObject:
    """Return the message of a chat completion. Only the first choice is used: Messages requests one."""
    choice: JsonObject = next(iter(completion.get("choices") or ()), {})
    answer = choice.get("message") or {}
    content = [*thoughts(answer), *_texts(answer), *(_tool_use(call) for call in answer.get("tool_calls") or ())]
    reason = stop_reason(choice.get("finish_reason"), choice.get("native_finish_reason"))
    return {
        "id": message_id(completion),
        "type": "message",
        "role": "assistant",
        "model": completion.get("model") or "",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        **stop_details(reason, answer.get("refusal")),
        "usage": usage(completion.get("usage")),
    }


def message_id(completion: JsonObject) -> str:
    """Return the message id, derived from the id of a completion or chunk; an id of Anthropic is kept."""
    return f"msg_{serial(completion).removeprefix('msg_')}"


def stop_reason(finish_reason: object, native: object) -> str:
    """Return the stop reason. For answers returned through a tool, OpenAI's finish reason is the right one."""
    if native in NATIVE and (native == "tool_use") == (finish_reason == "tool_calls"):
        return str(native)
    return STOP_REASONS.get(str(finish_reason), "end_turn")


def stop_details(reason: str, refusal: object) -> JsonObject:
    """Return the details of a refusal."""
    if reason != "refusal":
        return {}
    return {"stop_details": {"type": "refusal", "category": None, "explanation": refusal or None}}


def thoughts(message: JsonObject) -> list[JsonObject]:
    """Return the thinking blocks: those that Anthropic signed, else one unsigned block."""
    extras = message.get("extra_content")
    own = extras.get(OWN) if isinstance(extras, dict) else None
    signed = own.get("thinking_blocks") if isinstance(own, dict) else None
    if isinstance(signed, list) and signed:
        return signed
    reasoning = message.get("reasoning_content")
    return [{"type": "thinking", "thinking": reasoning, "signature": ""}] if reasoning else []


def usage(counts: JsonObject | None) -> JsonObject:
    """Return Anthropic's usage, whose input tokens exclude those read from or written to a cache."""
    counts = counts or {}
    details, output = counts.get("prompt_tokens_details") or {}, counts.get("completion_tokens_details") or {}
    read, written = details.get("cached_tokens") or 0, details.get("cache_creation_tokens") or 0
    return {
        "input_tokens": max((counts.get("prompt_tokens") or 0) - read - written, 0),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": read,
        "output_tokens": counts.get("completion_tokens") or 0,
        "output_tokens_details": {"thinking_tokens": output.get("reasoning_tokens") or 0},
    }


def refusal(error: JsonObject) -> JsonObject:
    """Return Anthropic's error object. Its clients choose their exception by the HTTP status."""
    details = error.get("error") or {}
    names = (details.get(name) for name in ("code", "type"))
    kind = next((ERROR_TYPES[name] for name in names if name in ERROR_TYPES), "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": details.get("message") or ""}}


def _texts(message: JsonObject) -> list[JsonObject]:
    text = message.get("content") or (None if message.get("tool_calls") else message.get("refusal"))
    return [{"type": "text", "text": text}] if text else []


def _tool_use(call: JsonObject) -> JsonObject:
    function = call.get("function") or {}
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if nesting_depth(arguments) > MAX_ARGUMENTS_DEPTH:
        arguments = None
    if not isinstance(arguments, dict):  # Anthropic's clients accept only objects, so invalid JSON is wrapped
        arguments = {"INVALID_JSON": function.get("arguments")}
    return {"type": "tool_use", "id": call.get("id") or "", "name": function.get("name") or "", "input": arguments}
