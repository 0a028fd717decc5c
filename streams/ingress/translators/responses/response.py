"""Translation of chat completions into responses.

Source: OpenAI's API reference, "The response object".
"""

from __future__ import annotations

from schemas.json_types import JsonObject
from streams.ingress.translators.translator import serial

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""Reason of an incomplete response, by finish reason."""

ECHOED: JsonObject = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "prompt_cache_key": None,
    "reasoning": {"effort": None, "summary": None},
    "safety_identifier": None,
    "temperature": 1.0,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": 1.0,
    "user": None,
}
"""Request parameters that a response repeats, with OpenAI's defaults."""


def response(completion: JsonObject, request: JsonObject) -> JsonObject:
    """Return the response of a chat completion. Only the first choice is used: Responses requests one."""
    finish_reason = first_choice(completion).get("finish_reason")
    reason = INCOMPLETE.get(str(finish_reason))
    return {
        **head(completion, request),
        "status": "incomplete" if reason else "completed",
        "incomplete_details": {"reason": reason} if reason else None,
        "output": output(completion),
        "usage": usage(completion.get("usage")),
    }


def head(completion: JsonObject, request: JsonObject) -> JsonObject:
    """Return a response in progress, from a completion or a chunk."""
    repeated = {name: value for name, value in request.items() if name in ECHOED and value is not None}
    return {
        "id": f"resp_{serial(completion)}",
        "object": "response",
        "created_at": completion.get("created") or 0,
        "model": completion.get("model") or "",
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "output": [],
        "usage": None,
        "background": False,
        "previous_response_id": None,
        "service_tier": completion.get("service_tier") or "default",
        "store": False,
        "truncation": "disabled",
        **ECHOED,
        **repeated,
    }


def output(completion: JsonObject) -> list[JsonObject]:
    """Return the items: reasoning, message and function calls. Their ids are derived from the completion's."""
    choice = first_choice(completion)
    answer, name = choice.get("message") or {}, serial(completion)
    complete = bool(choice.get("finish_reason")) and choice["finish_reason"] not in INCOMPLETE
    status = "completed" if complete else "incomplete"
    items = []
    if answer.get("reasoning_content") or answer.get("extra_content"):
        items.append(_reasoning(answer, name))
    if content := parts(choice):
        message = {"type": "message", "role": "assistant", "status": status, "content": content}
        items.append({"id": f"msg_{name}", **message})
    calls = answer.get("tool_calls") or ()
    return items + [_call(call, f"fc_{name}_{index}", status) for index, call in enumerate(calls)]


def parts(choice: JsonObject) -> list[JsonObject]:
    """Return the content of the message: text, a refusal, or both."""
    answer = choice.get("message") or {}
    logprobs = (choice.get("logprobs") or {}).get("content") or []
    content: list[JsonObject] = []
    if answer.get("content"):
        content.append({"type": "output_text", "text": answer["content"], "annotations": [], "logprobs": logprobs})
    if answer.get("refusal"):
        content.append({"type": "refusal", "refusal": answer["refusal"]})
    return content


def _reasoning(message: JsonObject, name: str) -> JsonObject:
    text = message.get("reasoning_content")
    summary = [{"type": "summary_text", "text": text}] if text else []
    return {"id": f"rs_{name}", "type": "reasoning", "summary": summary, **_extras(message)}


def _call(call: JsonObject, item_id: str, status: str) -> JsonObject:
    function = call.get("function") or {}
    return {
        "id": item_id,
        "type": "function_call",
        "status": status,
        "call_id": call.get("id") or "",
        "name": function.get("name") or "",
        "arguments": function.get("arguments") or "",
        **_extras(call),
    }


def _extras(part: JsonObject) -> JsonObject:
    """Return the data that the provider expects back unchanged, such as a signature."""
    return {"extra_content": part["extra_content"]} if part.get("extra_content") else {}


def usage(counts: JsonObject | None) -> JsonObject | None:
    """Return the usage with the field names of Responses."""
    if counts is None:
        return None
    details, output_details = counts.get("prompt_tokens_details") or {}, counts.get("completion_tokens_details") or {}
    input_tokens, output_tokens = counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0
    return {
        "input_tokens": input_tokens,
        "input_tokens_details": {
            "cached_tokens": details.get("cached_tokens") or 0,
            "cache_write_tokens": details.get("cache_creation_tokens") or 0,
        },
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": output_details.get("reasoning_tokens") or 0},
        "total_tokens": counts.get("total_tokens") or input_tokens + output_tokens,
    }


def first_choice(completion: JsonObject) -> JsonObject:
    """Return the first choice; empty if there is none."""
    return next((choice for choice in completion.get("choices") or () if not choice.get("index")), {})
