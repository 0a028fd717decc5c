"""OpenAI's completions and errors as Anthropic's.

Source: Anthropic's API reference, "Create a Message", and its pages "Stop reasons" and "Errors".
"""

from __future__ import annotations

from typing import Any

import orjson

from streams.ingress.translators.anthropic.messages import OWN
from streams.ingress.translators.translator import serial

JSON = dict[str, Any]

NATIVE = frozenset(
    {"end_turn", "max_tokens", "stop_sequence", "tool_use", "pause_turn", "refusal", "model_context_window_exceeded"}
)
"""Anthropic's own words, which count where Anthropic was behind."""
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
"""By our code, then by OpenAI's type; everything else is the caller's to mend."""


def message(completion: JSON) -> JSON:
    """Anthropic's message for OpenAI's completion. Of several choices the first counts: Messages asks for one."""
    choice: JSON = next(iter(completion.get("choices") or ()), {})
    said = choice.get("message") or {}
    content = [*thoughts(said), *_texts(said), *(_tool_use(call) for call in said.get("tool_calls") or ())]
    reason = stop_reason(choice.get("finish_reason"), choice.get("native_finish_reason"))
    return {
        "id": message_id(completion),
        "type": "message",
        "role": "assistant",
        "model": completion.get("model") or "",
        "content": content,
        "stop_reason": reason,
        "stop_sequence": None,
        **stop_details(reason, said.get("refusal")),
        "usage": usage(completion.get("usage")),
    }


def message_id(completion: JSON) -> str:
    """The message's id, which follows from the completion's; a Claude's own stays. A chunk serves as well."""
    return f"msg_{serial(completion).removeprefix('msg_')}"


def stop_reason(finish_reason: object, native: object) -> str:
    """Why the answer ended. OpenAI's tool_calls and stop are the truth about an answer that came by a tool."""
    if native in NATIVE and (native == "tool_use") == (finish_reason == "tool_calls"):
        return str(native)
    return STOP_REASONS.get(str(finish_reason), "end_turn")


def stop_details(reason: str, refusal: object) -> JSON:
    """What is said beside a refusal."""
    if reason != "refusal":
        return {}
    return {"stop_details": {"type": "refusal", "category": None, "explanation": refusal or None}}


def thoughts(said: JSON) -> list[JSON]:
    """The thinking in a message: as signed, where Anthropic was behind, else as one block that nobody signed."""
    extras = said.get("extra_content")
    own = extras.get(OWN) if isinstance(extras, dict) else None
    signed = own.get("thinking_blocks") if isinstance(own, dict) else None
    if isinstance(signed, list) and signed:
        return signed
    reasoning = said.get("reasoning_content")
    return [{"type": "thinking", "thinking": reasoning, "signature": ""}] if reasoning else []


def usage(counts: JSON | None) -> JSON:
    """Anthropic's counts, which leave out of the input what a cache has read or written."""
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


def refusal(told: JSON) -> JSON:
    """Anthropic's error object for OpenAI's. Its clients choose their exception by the status, people by the type."""
    said = told.get("error") or {}
    names = (said.get(name) for name in ("code", "type"))
    kind = next((ERROR_TYPES[name] for name in names if name in ERROR_TYPES), "invalid_request_error")
    return {"type": "error", "error": {"type": kind, "message": said.get("message") or ""}}


def _texts(said: JSON) -> list[JSON]:
    words = said.get("content") or (None if said.get("tool_calls") else said.get("refusal"))
    return [{"type": "text", "text": words}] if words else []


def _tool_use(call: JSON) -> JSON:
    function = call.get("function") or {}
    try:
        arguments = orjson.loads(function.get("arguments") or "{}")
    except orjson.JSONDecodeError:
        arguments = None
    if not isinstance(arguments, dict):  # Anthropic's clients take nothing but objects, so a broken one is wrapped
        arguments = {"INVALID_JSON": function.get("arguments")}
    return {"type": "tool_use", "id": call.get("id") or "", "name": function.get("name") or "", "input": arguments}
