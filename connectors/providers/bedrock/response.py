"""Translation of a Converse answer into OpenAI's completion.

Source: Amazon Bedrock API Reference, "Converse: Response Syntax", "TokenUsage".
"""

from __future__ import annotations

from typing import Any

import orjson

from connectors.providers.bedrock.reasoning import from_converse
from connectors.providers.bedrock.tools import ANSWER_TOOL
from connectors.providers.provider import ProviderError
from connectors.providers.wire.json_access import as_text, object_at, objects_of
from connectors.providers.wire.usage import Detail, token_count
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

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
"""OpenAI's finish reason for each stopReason. OpenAI has no ``error``, but none of its own reasons would be correct."""

USAGE_DETAILS: tuple[Detail, ...] = ("cached_tokens", "cache_creation_tokens")
"""The details of OpenAI's usage object that Bedrock counts."""


def finish_reason(native: str, *, by_tool: bool) -> str:
    """Return OpenAI's finish reason. An unknown stopReason is a stop."""
    if by_tool and native == "tool_use":
        return "stop"
    return FINISH_REASONS.get(native, "stop")


def read_choice(body: Any, model: str, *, by_tool: bool) -> JsonObject:  # noqa: ANN401 - JSON of any shape
    """Read the only choice of an answer.

    Raises:
        ProviderError: server, if there is none.

    """
    message = object_at(object_at(body, "output"), "message")
    content = message.get("content")
    if not isinstance(content, list):
        raise ProviderError("server", "HTTP 200, but the body has no output.message.content", http_status=200)
    native = str(body.get("stopReason") or "")
    blocks = objects_of(content)
    choice: JsonObject = {"index": 0, "message": _message(blocks, model, by_tool=by_tool), "logprobs": None}
    if object_at(body, "trace"):
        choice["message"].setdefault("extra_content", {}).setdefault("bedrock", {})["trace"] = body["trace"]
    return {**choice, "finish_reason": finish_reason(native, by_tool=by_tool), "native_finish_reason": native}


def _message(blocks: list[JsonObject], model: str, *, by_tool: bool) -> JsonObject:
    calls = [object_at(block, "toolUse") for block in blocks if "toolUse" in block]
    answers = [call for call in calls if by_tool and call.get("name") == ANSWER_TOOL]
    text = "".join(_text(block) for block in blocks)
    if answers:
        text = _arguments(answers[0])
    message: JsonObject = {"role": "assistant", "content": text or None}
    if calls and not answers:
        message["tool_calls"] = [_call(call) for call in calls]
    reasoning = [object_at(block, "reasoningContent") for block in blocks if "reasoningContent" in block]
    if reasoning:
        text_of_reasoning = "".join(as_text(object_at(block, "reasoningText").get("text")) for block in reasoning)
        message |= {"reasoning_content": text_of_reasoning, "extra_content": from_converse(model, reasoning)}
    return message


def _text(block: JsonObject) -> str:
    if "citationsContent" in block:
        return "".join(_text(part) for part in objects_of(object_at(block, "citationsContent").get("content")))
    return as_text(block.get("text"))


def _call(call: JsonObject) -> JsonObject:
    function = {"name": as_text(call.get("name")), "arguments": _arguments(call)}
    return {"id": as_text(call.get("toolUseId")), "type": "function", "function": function}


def _arguments(call: JsonObject) -> str:
    return orjson.dumps(call.get("input") or {}).decode()


def read_usage(native: object) -> Usage:
    """Count inclusively: Bedrock's inputTokens exclude tokens read from or written to a cache."""
    read, written = token_count(native, "cacheReadInputTokens"), token_count(native, "cacheWriteInputTokens")
    return Usage(
        input_tokens=token_count(native, "inputTokens") + read + written,
        output_tokens=token_count(native, "outputTokens"),
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
    )
