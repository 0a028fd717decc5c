"""An answer of Bedrock's Converse, read into OpenAI's chat completion.

Source: Amazon Bedrock API Reference, "Converse: Response Syntax", "TokenUsage".
"""

from __future__ import annotations

from typing import Any

import orjson

from connectors.providers.bedrock.reasoning import from_converse
from connectors.providers.bedrock.tools import ANSWER_TOOL
from connectors.providers.provider import ProviderError
from connectors.providers.wire.chunk_assembly import JSON
from schemas.events.parts import Usage

FINISH_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "guardrail_intervened": "content_filter",
    "content_filtered": "content_filter",
    "refusal": "content_filter",
    "malformed_model_output": "error",
    "malformed_tool_use": "error",
}
"""Bedrock's stopReason in OpenAI's words; error is none of OpenAI's, but neither of its own would be true."""


def finish_reason(native: str, *, by_tool: bool) -> str:
    """Say in OpenAI's words why the model stopped. A word we don't know is an end like any other."""
    if by_tool and native == "tool_use":
        return "stop"
    return FINISH_REASONS.get(native, "stop")


def read_choice(body: Any, model: str, *, by_tool: bool) -> JSON:  # noqa: ANN401 - JSON of any shape
    """Read the one choice of an answer.

    Raises:
        ProviderError: server, if there is none.

    """
    message = entry(entry(body, "output"), "message")
    content = message.get("content")
    if not isinstance(content, list):
        raise ProviderError("server", "HTTP 200, but the body has no output.message.content", http_status=200)
    native = str(body.get("stopReason") or "")
    blocks = [block for block in content if isinstance(block, dict)]
    choice: JSON = {"index": 0, "message": _message(blocks, model, by_tool=by_tool), "logprobs": None}
    if entry(body, "trace"):
        choice["message"].setdefault("extra_content", {}).setdefault("bedrock", {})["trace"] = body["trace"]
    return {**choice, "finish_reason": finish_reason(native, by_tool=by_tool), "native_finish_reason": native}


def _message(blocks: list[JSON], model: str, *, by_tool: bool) -> JSON:
    calls = [entry(block, "toolUse") for block in blocks if "toolUse" in block]
    answers = [call for call in calls if by_tool and call.get("name") == ANSWER_TOOL]
    text = "".join(_text(block) for block in blocks)
    if answers:
        text = _arguments(answers[0])
    message: JSON = {"role": "assistant", "content": text or None}
    if calls and not answers:
        message["tool_calls"] = [_call(call) for call in calls]
    reasoning = [entry(block, "reasoningContent") for block in blocks if "reasoningContent" in block]
    if reasoning:
        thought = "".join(_string(entry(block, "reasoningText").get("text")) for block in reasoning)
        message |= {"reasoning_content": thought, "extra_content": from_converse(model, reasoning)}
    return message


def _text(block: JSON) -> str:
    if "citationsContent" in block:
        parts = entry(block, "citationsContent").get("content")
        return "".join(_text(part) for part in parts if isinstance(part, dict)) if isinstance(parts, list) else ""
    return _string(block.get("text"))


def _call(call: JSON) -> JSON:
    function = {"name": _string(call.get("name")), "arguments": _arguments(call)}
    return {"id": _string(call.get("toolUseId")), "type": "function", "function": function}


def _arguments(call: JSON) -> str:
    return orjson.dumps(call.get("input") or {}).decode()


def read_usage(native: object) -> Usage:
    """Count inclusively: Bedrock's inputTokens are those that no cache was asked for."""
    read, written = _count(native, "cacheReadInputTokens"), _count(native, "cacheWriteInputTokens")
    return Usage(
        input_tokens=_count(native, "inputTokens") + read + written,
        output_tokens=_count(native, "outputTokens"),
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
    )


def write_usage(usage: Usage) -> JSON:
    """Write a usage as OpenAI does."""
    return {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "prompt_tokens_details": {
            "cached_tokens": usage.cache_read_input_tokens,
            "cache_creation_tokens": usage.cache_creation_input_tokens,
        },
    }


def entry(holder: object, name: str) -> JSON:
    """Get the object under a name; empty if there is none."""
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if isinstance(value, dict) else {}


def _count(holder: object, name: str) -> int:
    value = holder.get(name) if isinstance(holder, dict) else None
    return value if type(value) is int and value > 0 else 0


def _string(value: object) -> str:
    return value if isinstance(value, str) else ""
