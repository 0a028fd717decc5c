"""Translation of a Messages answer into OpenAI's completion.

Source: Anthropic's API reference, "Create a Message", and its pages "Stop reasons", "Prompt caching" (what the counts
hold) and "Handle streaming refusals".
"""

from __future__ import annotations

from typing import Any

import orjson

from connectors.providers.anthropic.messages import EXTRA_CONTENT_KEY
from connectors.providers.anthropic.structured_output import ANSWER_TOOL
from connectors.providers.provider import ProviderAnswer, ProviderError
from connectors.providers.wire.json_access import as_object, as_text, object_at, objects_of
from connectors.providers.wire.usage import Detail, openai_usage, token_count
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",  # the answer must be sent back to continue; only Anthropic's own tools cause it
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
USAGE_DETAILS: tuple[Detail, ...] = ("cached_tokens", "cache_creation_tokens", "reasoning_tokens")
"""The details of OpenAI's usage object that Anthropic counts."""

THINKING_TYPES = frozenset({"thinking", "redacted_thinking"})
DEFAULT_REFUSAL = "The provider's safety system stopped this answer."
"""Refusal text when Anthropic gives no explanation."""


def read_completion(message: Any, created: int, *, by_tool: bool) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate a complete message.

    Args:
        message: the body of a response with status 200.
        created: seconds since the Unix epoch; Anthropic does not send it.
        by_tool: whether the answer was requested as the input of a tool.

    Raises:
        ProviderError: server, if it contains no answer.

    """
    if not isinstance(message, dict) or not isinstance(message.get("content"), list):
        raise ProviderError("server", "HTTP 200, but the body is not a message with content", http_status=200)
    reason = as_text(message.get("stop_reason"))
    answer = _message(message["content"], by_tool=by_tool)
    if reason == "refusal":
        answer["refusal"] = refusal_text(message.get("stop_details"))
    usage = object_at(message, "usage")
    counted = read_usage(usage)
    head = {"id": as_text(message.get("id")), "model": as_text(message.get("model"))}
    finish_reason = finish_reason_of(reason, calls=bool(answer.get("tool_calls")))
    choice = {"index": 0, "message": answer, "logprobs": None, "finish_reason": finish_reason}
    choice["native_finish_reason"] = reason
    rest = {"choices": [choice], "usage": openai_usage(counted, *USAGE_DETAILS)}
    return ProviderAnswer(
        body={**head, "object": "chat.completion", "created": created, **rest},
        http_status=200,
        usage=counted,
        response_id=head["id"],
        response_model=head["model"],
        finish_reasons=(reason,) if reason else (),
        native_usage=usage or None,
    )


def finish_reason_of(reason: str, *, calls: bool) -> str:
    """Return OpenAI's finish reason. An answer as the input of a tool is not a tool call."""
    if reason == "tool_use" and not calls:
        return "stop"
    return FINISH_REASONS.get(reason, "stop")


def refusal_text(details: object) -> str:
    """Return Anthropic's explanation of a refusal, or a default text."""
    return as_text(as_object(details).get("explanation")) or DEFAULT_REFUSAL


def _message(content: list[Any], *, by_tool: bool) -> JsonObject:
    blocks = objects_of(content)
    texts = [as_text(block.get("text")) for block in blocks if block.get("type") == "text"]
    thinking = [block for block in blocks if as_text(block.get("type")) in THINKING_TYPES]
    calls: list[JsonObject] = []
    for block in (block for block in blocks if block.get("type") == "tool_use"):
        arguments = orjson.dumps(block.get("input") or {}).decode()
        if by_tool and block.get("name") == ANSWER_TOOL:
            texts = [arguments]  # text before it is not part of the structured answer
        else:
            function = {"name": as_text(block.get("name")), "arguments": arguments}
            calls.append({"id": as_text(block.get("id")), "type": "function", "function": function})
    message: JsonObject = {"role": "assistant", "content": "".join(texts) or None, "refusal": None}
    reasoning = "".join(as_text(block.get("thinking")) for block in thinking)
    if reasoning:
        message["reasoning_content"] = reasoning
    if thinking:
        message["extra_content"] = write_thinking_blocks(thinking)
    return message | ({"tool_calls": calls} if calls else {})


def write_thinking_blocks(thinking: list[JsonObject]) -> JsonObject:
    """Write thinking blocks into a message's extra_content, so that callers can send them back unchanged."""
    return {EXTRA_CONTENT_KEY: {"thinking_blocks": list(thinking)}}


def read_usage(usage: JsonObject) -> Usage:
    """Count inclusively: Anthropic's input tokens exclude those read from or written to a cache."""
    read, written = token_count(usage, "cache_read_input_tokens"), token_count(usage, "cache_creation_input_tokens")
    return Usage(
        input_tokens=token_count(usage, "input_tokens") + read + written,
        output_tokens=token_count(usage, "output_tokens"),
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        reasoning_output_tokens=token_count(usage.get("output_tokens_details"), "thinking_tokens"),
    )
