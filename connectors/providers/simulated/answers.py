"""Generated answers of the simulated provider: bodies in OpenAI's format, derived from the request alone."""

from __future__ import annotations

import hashlib
import itertools
import math
import struct

import orjson

from connectors.providers.parameters import invalid_parameter
from connectors.providers.provider import ProviderAnswer
from connectors.providers.wire.embeddings import embeddings_body
from connectors.providers.wire.usage import openai_usage
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

CHARS_PER_TOKEN = 4
"""Characters per token of English text, approximately."""

WORDS = ("the", "water", "runs", "down", "to", "the", "gate", "and", "waits", "until", "the", "river", "is", "high")


def estimate_tokens(text: str) -> int:
    """Estimate the tokens of a text; at least one."""
    return max(1, math.ceil(len(text) / CHARS_PER_TOKEN))


MAX_DIMENSIONS = 8192
"""Largest size of an embedding."""


def chat_answer(body: JsonObject, model: str, serial: str, reply_tokens: int, *, echo: bool) -> ProviderAnswer:
    """Answer a chat: with a tool call if one is required, with JSON if a schema is given, else with text."""
    texts = [_content(message) for message in body.get("messages", ()) if isinstance(message, dict)]
    tool = _required_tool(body)
    if tool is not None:
        message, text, reason = _tool_call(tool, serial)
    else:
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        text, reason = _truncate(_reply(body, texts, reply_tokens, echo=echo), limit)
        message = {"role": "assistant", "content": text, "refusal": None}
    count = body.get("n") or 1
    usage = Usage(input_tokens=sum(map(estimate_tokens, texts)), output_tokens=estimate_tokens(text) * count)
    answer_id = f"chatcmpl-sim-{serial}"
    answer = {
        "id": answer_id,
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "system_fingerprint": "simulated",
        "choices": [
            {"index": index, "message": message, "logprobs": None, "finish_reason": reason} for index in range(count)
        ],
        "usage": openai_usage(usage),
    }
    return ProviderAnswer(answer, 200, usage, answer_id, model, (reason,) * count)


def _content(message: JsonObject) -> str:
    content = message.get("content")
    if isinstance(content, list):
        return " ".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _reply(body: JsonObject, texts: list[str], reply_tokens: int, *, echo: bool) -> str:
    form = body.get("response_format") or {}
    if form.get("type") == "json_object":
        return "{}"
    if form.get("type") == "json_schema":
        return orjson.dumps(smallest_value(form.get("json_schema", {}).get("schema", {}))).decode()
    if echo:
        messages = [m for m in body.get("messages", ()) if isinstance(m, dict) and m.get("role") in ("user", "tool")]
        return _content(messages[-1]) if messages else ""
    start = len(texts[-1]) % len(WORDS) if texts else 0
    words = itertools.islice(itertools.cycle(WORDS), start, start + reply_tokens)
    return " ".join(words)


def _truncate(text: str, limit: object) -> tuple[str, str]:
    if isinstance(limit, int) and estimate_tokens(text) > limit:
        return text[: limit * CHARS_PER_TOKEN], "length"
    return text, "stop"


def _required_tool(body: JsonObject) -> JsonObject | None:
    """Return the function that the request requires; None if a tool call is optional.

    With ``required`` each function is called once in turn, and then only the last one, so that a loop of calls and
    results ends.
    """
    choice = body.get("tool_choice")
    tools = [tool.get("function", {}) for tool in body.get("tools") or () if isinstance(tool, dict)]
    if choice == "required":
        called = _tools_called(body)
        return next((tool for tool in tools if tool.get("name") not in called), tools[-1]) if tools else None
    if isinstance(choice, dict):
        name = (choice.get("function") or {}).get("name")
        return next((tool for tool in tools if tool.get("name") == name), None)
    return None


def _tools_called(body: JsonObject) -> set[str]:
    """Return the names of the functions called after the last user message."""
    names: set[str] = set()
    for message in body.get("messages", ()):
        if isinstance(message, dict) and message.get("role") == "user":
            names.clear()
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        names.update(str((call.get("function") or {}).get("name")) for call in calls or ())
    return names


def _tool_call(tool: JsonObject, serial: str) -> tuple[JsonObject, str, str]:
    arguments = orjson.dumps(smallest_value(tool.get("parameters") or {})).decode()
    call = {
        "id": f"call_sim_{serial[:16]}",
        "type": "function",
        "function": {"name": tool.get("name", ""), "arguments": arguments},
    }
    return {"role": "assistant", "content": None, "refusal": None, "tool_calls": [call]}, arguments, "tool_calls"


_SMALLEST_VALUES: dict[str, object] = {
    "string": "",
    "integer": 0,
    "number": 0,
    "boolean": False,
    "null": None,
    "array": [],
}


def smallest_value(schema: object) -> object:
    """Return the smallest value for a plain JSON schema: required properties only, first choices first."""
    if not isinstance(schema, dict):
        return {}
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    for choice in ("anyOf", "oneOf"):
        if schema.get(choice):
            return smallest_value(schema[choice][0])
    kind = schema.get("type", "object")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind != "object":
        return (
            schema.get("minimum", _SMALLEST_VALUES.get(str(kind)))
            if kind in ("integer", "number")
            else _SMALLEST_VALUES.get(str(kind))
        )
    properties = schema.get("properties", {})
    return {name: smallest_value(properties.get(name, {})) for name in schema.get("required", ())}


def embeddings_answer(body: JsonObject, model: str, dimensions: int) -> ProviderAnswer:
    """Answer with one unit vector per input; equal inputs have equal vectors, without any meaning.

    Raises:
        ProviderError: invalid_request, for more dimensions than any provider has, because they would exhaust memory.

    """
    inputs = _inputs(body.get("input"))
    size = body.get("dimensions") or dimensions
    if size > MAX_DIMENSIONS:
        raise invalid_parameter(
            "dimensions", f"dimensions must be at most {MAX_DIMENSIONS} for simulated models, not {size}."
        )
    vectors = [unit_vector(item, size) for item in inputs]
    usage = Usage(input_tokens=sum(len(item) if isinstance(item, list) else estimate_tokens(item) for item in inputs))
    answer = embeddings_body(model, vectors, usage.input_tokens)
    return ProviderAnswer(answer, 200, usage, response_model=model)


def _inputs(value: object) -> list[str | list[int]]:
    """Return a list of inputs from one text, several texts, one list of token ids or several."""
    if not isinstance(value, list):
        return [str(value)]
    if value and all(isinstance(item, int) for item in value):
        return [value]
    return value


def unit_vector(item: str | list[int], dimensions: int) -> list[float]:
    """Derive a vector of length 1 from the input's hash, in single precision as OpenAI's are."""
    digest = hashlib.shake_256(orjson.dumps(item)).digest(4 * dimensions)
    raw = [number / 2**31 - 1 for number in struct.unpack(f"<{dimensions}I", digest)]
    length = math.sqrt(sum(number * number for number in raw)) or 1.0
    return list(struct.unpack(f"<{dimensions}f", struct.pack(f"<{dimensions}f", *(n / length for n in raw))))
