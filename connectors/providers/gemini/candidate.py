"""Translation of the parts of one of Gemini's candidates: delta, finish reason, log probabilities, usage.

Sources: Gemini API, "Generating content" (Part, FinishReason, LogprobsResult, SafetyRating, UsageMetadata).
"""

from __future__ import annotations

from typing import Any

import orjson

from connectors.providers.wire.json_access import as_list, as_object, object_at, objects_of
from connectors.providers.wire.usage import token_count
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

FINISH_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "LANGUAGE": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "MODEL_ARMOR": "content_filter",
    "IMAGE_SAFETY": "content_filter",
    "IMAGE_PROHIBITED_CONTENT": "content_filter",
    "IMAGE_RECITATION": "content_filter",
    "IMAGE_OTHER": "error",
    "NO_IMAGE": "error",
    "MALFORMED_FUNCTION_CALL": "error",
    "MALFORMED_RESPONSE": "error",
    "UNEXPECTED_TOOL_CALL": "error",
    "TOO_MANY_TOOL_CALLS": "error",
    "MISSING_THOUGHT_SIGNATURE": "error",
    "OTHER": "error",
    "FINISH_REASON_UNSPECIFIED": "error",
}
"""OpenAI's finish reason for each of Gemini's. An unknown one is ``error``, because the answer may be incomplete."""

CATEGORY_PREFIX = "HARM_CATEGORY_"


def finish_reason_of(native: str, *, called: bool) -> str:
    """Return OpenAI's finish reason. Gemini has no reason of its own for an answer with tool calls."""
    reason = FINISH_REASONS.get(native, "error")
    return "tool_calls" if called and reason == "stop" else reason


def read_delta(candidate: JsonObject, calls: int, call_id: str) -> tuple[JsonObject, int]:
    """Translate the parts of a candidate.

    Args:
        candidate: Gemini's candidate.
        calls: number of earlier tool calls of this choice.
        call_id: prefix of the ids of calls without an id.

    Returns:
        OpenAI's delta, which may be empty, and the number of new calls.

    """
    delta: JsonObject = {}
    for part in objects_of(object_at(candidate, "content").get("parts")):
        _add_part(delta, part, calls, call_id)
    return delta, len(delta.get("tool_calls", ()))


def _add_part(delta: JsonObject, part: JsonObject, calls: int, call_id: str) -> None:
    text, function = part.get("text"), part.get("functionCall")
    if isinstance(function, dict):
        known = delta.setdefault("tool_calls", [])
        known.append(_tool_call(part, function, calls + len(known), call_id))
        return
    if isinstance(text, str) and text:
        name = "reasoning_content" if part.get("thought") is True else "content"
        delta[name] = delta.get(name, "") + text
    delta |= _signature(part)


def _tool_call(part: JsonObject, function: JsonObject, index: int, call_id: str) -> JsonObject:
    native, arguments = function.get("id"), function.get("args")
    return {
        "index": index,
        "id": native if isinstance(native, str) and native else f"{call_id}{index}",
        "type": "function",
        "function": {
            "name": str(function.get("name") or ""),
            "arguments": orjson.dumps(as_object(arguments)).decode(),
        },
        **_signature(part),
    }


def _signature(part: JsonObject) -> JsonObject:
    """Keep a thought signature, which must be sent back with the conversation."""
    signature = part.get("thoughtSignature")
    if not isinstance(signature, str) or not signature:
        return {}
    return {"extra_content": {"google": {"thought_signature": signature}}}


def read_logprobs(candidate: JsonObject) -> JsonObject:
    """Translate log probabilities; empty if there are none."""
    result = candidate.get("logprobsResult")
    if not isinstance(result, dict):
        return {}
    chosen, tops = as_list(result.get("chosenCandidates")), as_list(result.get("topCandidates"))
    alternatives = [as_list(as_object(top).get("candidates")) for top in tops]
    tokens = [
        {
            **_token(token),
            "top_logprobs": [_token(other) for other in (alternatives[index] if index < len(alternatives) else ())],
        }
        for index, token in enumerate(chosen)
    ]
    return {"logprobs": {"content": tokens, "refusal": None}} if tokens else {}


def _token(candidate: Any) -> JsonObject:  # noqa: ANN401 - JSON of any shape
    candidate = as_object(candidate)
    token, logprob = str(candidate.get("token") or ""), candidate.get("logProbability")
    return {
        "token": token,
        "logprob": float(logprob) if isinstance(logprob, int | float) else 0.0,  # protobuf omits a zero
        "bytes": list(token.encode()),
    }


def read_filter_results(holder: JsonObject) -> JsonObject:
    """Translate the safety ratings, by category, in Azure's format."""
    ratings = objects_of(holder.get("safetyRatings"))
    results = {
        str(rating.get("category")).removeprefix(CATEGORY_PREFIX).lower(): {
            "filtered": rating.get("blocked") is True,
            "probability": str(rating.get("probability")).lower(),
        }
        for rating in ratings
    }
    return {"content_filter_results": results} if results else {}


def read_usage(native: JsonObject) -> Usage:
    """Count inclusively. Gemini's prompt count includes cached tokens; its candidates' count excludes thinking."""
    reasoning = token_count(native, "thoughtsTokenCount")
    return Usage(
        input_tokens=token_count(native, "promptTokenCount") + token_count(native, "toolUsePromptTokenCount"),
        output_tokens=token_count(native, "candidatesTokenCount") + reasoning,
        cache_read_input_tokens=token_count(native, "cachedContentTokenCount"),
        reasoning_output_tokens=reasoning,
    )
