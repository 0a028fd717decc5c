"""Translation of Cohere's answers into OpenAI's format."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from connectors.http_client import Response
from connectors.providers.provider import ProviderAnswer, ProviderCall, ProviderError
from connectors.providers.wire.embeddings import embeddings_body
from connectors.providers.wire.json_access import object_at, objects_of
from connectors.providers.wire.usage import openai_usage, token_count
from schemas.events.parts import Usage
from schemas.events.vocabulary import ErrorType, Operation
from schemas.json_types import JsonObject

FINISH_REASONS = {
    "COMPLETE": "stop",
    "STOP_SEQUENCE": "stop",
    "MAX_TOKENS": "length",
    "TOOL_CALL": "tool_calls",
}
"""OpenAI's finish reason for each of Cohere's; an unknown one is a stop."""

FAILURE_REASONS: dict[str, ErrorType] = {"ERROR": "server", "TIMEOUT": "timeout"}
"""Finish reasons that are failures: the answer cannot be trusted."""


def read_chat(call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate a chat answer.

    Raises:
        ProviderError: server or timeout, if it is not an answer or reports a failure.

    """
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        raise ProviderError("server", "HTTP 200, but the body has no message", http_status=200)
    native = str(body.get("finish_reason") or "")
    raise_if_failed(native)
    choice = {
        "index": 0,
        "message": _message(message),
        "finish_reason": FINISH_REASONS.get(native, "stop"),
        "native_finish_reason": native,
        "logprobs": read_logprobs(body.get("logprobs")),
    }
    usage = read_usage(body.get("usage"))
    return ProviderAnswer(
        body={
            "id": str(body.get("id") or call.request_id),
            "object": "chat.completion",
            "created": int(time.time()),
            "model": call.model,
            "choices": [choice],
            "usage": openai_usage(usage, "cached_tokens"),
        },
        http_status=response.status,
        usage=usage,
        response_id=str(body.get("id") or ""),
        response_model=call.model,
        finish_reasons=(native,),
        native_usage=body["usage"] if isinstance(body.get("usage"), dict) else None,
    )


def raise_if_failed(native: str, reported: object = None) -> None:
    """Raise an error for a finish reason that is a failure.

    Raises:
        ProviderError: server or timeout.

    """
    if native in FAILURE_REASONS:
        message = reported if isinstance(reported, str) and reported else f"the generation ended with {native}"
        raise ProviderError(FAILURE_REASONS[native], message, http_status=200)


def _message(message: JsonObject) -> JsonObject:
    parts = objects_of(message.get("content"))
    text = "".join(part.get("text") or "" for part in parts if part.get("type") == "text")
    reasoning = "".join(part.get("thinking") or "" for part in parts if part.get("type") == "thinking")
    reasoning += message.get("tool_plan") or ""
    calls = message.get("tool_calls")
    read: JsonObject = {"role": "assistant", "content": text if text or not calls else None}
    if reasoning:
        read["reasoning_content"] = reasoning
    if calls:
        read["tool_calls"] = calls
    if message.get("citations"):
        read["extra_content"] = {"cohere": {"citations": message["citations"]}}
    return read


def read_logprobs(items: object) -> JsonObject | None:
    """Translate log probabilities, per text: those of several tokens are added."""
    if not isinstance(items, list) or not items:
        return None
    texts = [item for item in items if isinstance(item, dict) and item.get("logprobs")]
    content = [
        {
            "token": item.get("text") or "",
            "logprob": sum(item["logprobs"]),
            "bytes": list((item.get("text") or "").encode()),
            "top_logprobs": [],
        }
        for item in texts
    ]
    return {"content": content, "refusal": None}


def read_usage(usage: object) -> Usage:
    """Return the billed tokens; the processed ones if those are missing."""
    if not isinstance(usage, dict):
        return Usage()
    counts = usage.get("billed_units") or usage.get("tokens")
    read = token_count(counts, "input_tokens")
    return Usage(
        input_tokens=read,
        output_tokens=token_count(counts, "output_tokens"),
        cache_read_input_tokens=min(token_count(usage, "cached_tokens"), read),
    )


def read_embeddings(call: ProviderCall, body: Any, response: Response) -> ProviderAnswer:  # noqa: ANN401 - JSON of any shape
    """Translate an embeddings answer.

    Raises:
        ProviderError: server, if it contains no embeddings.

    """
    floats = object_at(body, "embeddings").get("float")
    if not isinstance(floats, list):
        raise ProviderError("server", "HTTP 200, but the body has no embeddings", http_status=200)
    meta = body.get("meta")
    usage = read_usage(meta)
    return ProviderAnswer(
        body=embeddings_body(call.model, [list(row) for row in floats], usage.input_tokens),
        http_status=response.status,
        usage=usage,
        response_id=str(body.get("id") or ""),
        response_model=call.model,
        native_usage=meta if isinstance(meta, dict) else None,
    )


READERS: dict[Operation, Callable[[ProviderCall, Any, Response], ProviderAnswer]] = {
    "chat": read_chat,
    "embeddings": read_embeddings,
}
