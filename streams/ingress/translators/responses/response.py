"""OpenAI's completions as responses.

Source: OpenAI's API reference, "The response object".
"""

from __future__ import annotations

from typing import Any

from streams.ingress.translators.translator import serial

JSON = dict[str, Any]

INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
"""By finish reason: why a response is not complete."""

ECHOED: JSON = {
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
"""What a response repeats of its request, and OpenAI's default where that says nothing."""


def response(completion: JSON, asked: JSON) -> JSON:
    """The response for OpenAI's completion. Of several choices the first counts: Responses asks for one."""
    reason = first_choice(completion).get("finish_reason")
    why = INCOMPLETE.get(str(reason))
    return {
        **head(completion, asked),
        "status": "incomplete" if why else "completed",
        "incomplete_details": {"reason": why} if why else None,
        "output": output(completion),
        "usage": usage(completion.get("usage")),
    }


def head(completion: JSON, asked: JSON) -> JSON:
    """A response that has only begun. A chunk serves as well as a completion."""
    given = {name: value for name, value in asked.items() if name in ECHOED and value is not None}
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
        **given,
    }


def output(completion: JSON) -> list[JSON]:
    """The items: what was thought, what was said, what shall be called. Their ids follow from the completion's."""
    choice = first_choice(completion)
    said, name = choice.get("message") or {}, serial(completion)
    complete = bool(choice.get("finish_reason")) and choice["finish_reason"] not in INCOMPLETE
    status = "completed" if complete else "incomplete"
    items = []
    if said.get("reasoning_content") or said.get("extra_content"):
        items.append(_thought(said, name))
    if content := parts(choice):
        message = {"type": "message", "role": "assistant", "status": status, "content": content}
        items.append({"id": f"msg_{name}", **message})
    calls = said.get("tool_calls") or ()
    return items + [_call(call, f"fc_{name}_{index}", status) for index, call in enumerate(calls)]


def parts(choice: JSON) -> list[JSON]:
    """The content of the one message: words, a refusal, or both."""
    said = choice.get("message") or {}
    logprobs = (choice.get("logprobs") or {}).get("content") or []
    content: list[JSON] = []
    if said.get("content"):
        content.append({"type": "output_text", "text": said["content"], "annotations": [], "logprobs": logprobs})
    if said.get("refusal"):
        content.append({"type": "refusal", "refusal": said["refusal"]})
    return content


def _thought(said: JSON, name: str) -> JSON:
    words = said.get("reasoning_content")
    summary = [{"type": "summary_text", "text": words}] if words else []
    return {"id": f"rs_{name}", "type": "reasoning", "summary": summary, **_extras(said)}


def _call(call: JSON, item_id: str, status: str) -> JSON:
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


def _extras(said: JSON) -> JSON:
    """What a provider wants to have back as it gave it, such as a signature."""
    return {"extra_content": said["extra_content"]} if said.get("extra_content") else {}


def usage(counts: JSON | None) -> JSON | None:
    """The same counts under the names of Responses."""
    if counts is None:
        return None
    details, spent = counts.get("prompt_tokens_details") or {}, counts.get("completion_tokens_details") or {}
    inward, outward = counts.get("prompt_tokens") or 0, counts.get("completion_tokens") or 0
    return {
        "input_tokens": inward,
        "input_tokens_details": {
            "cached_tokens": details.get("cached_tokens") or 0,
            "cache_write_tokens": details.get("cache_creation_tokens") or 0,
        },
        "output_tokens": outward,
        "output_tokens_details": {"reasoning_tokens": spent.get("reasoning_tokens") or 0},
        "total_tokens": counts.get("total_tokens") or inward + outward,
    }


def first_choice(completion: JSON) -> JSON:
    """The choice that counts; empty if there is none."""
    return next((choice for choice in completion.get("choices") or () if not choice.get("index")), {})
