"""Strategies for requests that OpenAI accepts, for property tests of the providers."""

from __future__ import annotations

import base64
import json
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject
from schemas.openai import bodies as openai

WORDS = st.text(max_size=12)
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_-]{0,9}", fullmatch=True)
IDS = st.one_of(NAMES, st.just("call_abc123"), st.just("tool.use/1"))
PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n").decode()
IMAGE_URLS = st.sampled_from(
    [
        "https://example.org/a.png",
        f"data:image/png;base64,{PNG}",
        "data:image/bmp;base64,Qk0=",
        "data:,plain",
        "no url at all",
    ]
)
SCHEMAS: SearchStrategy[JsonObject] = st.sampled_from(
    [
        {},
        {"type": "object", "properties": {}},
        {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
            "additionalProperties": False,
        },
        {"type": "object", "properties": {"all": {"$ref": "#/$defs/node"}}, "$defs": {"node": {"type": "integer"}}},
    ]
)
ARGUMENTS = st.one_of(st.just("{}"), st.just('{"city": "Paris"}'), st.just(""), st.just("[1]"), st.just('{"broken'))


def text_or_parts(part: SearchStrategy[JsonObject]) -> SearchStrategy[Any]:
    return st.one_of(WORDS, st.lists(part, min_size=1, max_size=3))


TEXT_PARTS = st.fixed_dictionaries({"type": st.just("text"), "text": WORDS})
REFUSAL_PARTS = st.fixed_dictionaries({"type": st.just("refusal"), "refusal": WORDS})
IMAGE_PARTS = st.fixed_dictionaries(
    {
        "type": st.just("image_url"),
        "image_url": st.fixed_dictionaries(
            {"url": IMAGE_URLS}, optional={"detail": st.sampled_from(["auto", "low", "high", None])}
        ),
    }
)
AUDIO_PARTS = st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})
FILE_PARTS = st.sampled_from(
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,JVBERi0=", "filename": "a.pdf"}},
    ]
)
USER_CONTENT = text_or_parts(st.one_of(TEXT_PARTS, IMAGE_PARTS, AUDIO_PARTS, FILE_PARTS))

FUNCTION_CALLS = st.fixed_dictionaries(
    {
        "id": IDS,
        "type": st.just("function"),
        "function": st.fixed_dictionaries({"name": NAMES, "arguments": ARGUMENTS}),
    }
)
CUSTOM_CALLS = st.just({"id": "c1", "type": "custom", "custom": {"name": "shell", "input": "ls"}})

PLAIN_MESSAGES = st.fixed_dictionaries(
    {"role": st.sampled_from(["system", "developer"]), "content": text_or_parts(TEXT_PARTS)},
    optional={"name": NAMES},
)
USER_MESSAGES = st.fixed_dictionaries({"role": st.just("user"), "content": USER_CONTENT}, optional={"name": NAMES})
EXTRA_CONTENT = st.dictionaries(
    st.sampled_from(["anthropic", "google", "mistral", "bedrock", "cohere"]),
    st.one_of(st.none(), WORDS, st.dictionaries(NAMES, WORDS, max_size=2), st.lists(WORDS, max_size=2)),
    max_size=2,
)
ASSISTANT_MESSAGES = st.fixed_dictionaries(
    {"role": st.just("assistant"), "content": text_or_parts(st.one_of(TEXT_PARTS, REFUSAL_PARTS))},
    optional={
        "refusal": WORDS,
        "name": NAMES,
        "reasoning_content": WORDS,
        "extra_content": EXTRA_CONTENT,
        "function_call": st.fixed_dictionaries({"name": NAMES, "arguments": ARGUMENTS}),
    },
)


@st.composite
def tool_turns(draw: DrawFn) -> list[JsonObject]:
    """Draw an assistant message with tool calls, and the results of most of them."""
    calls = draw(st.lists(st.one_of(FUNCTION_CALLS, FUNCTION_CALLS, CUSTOM_CALLS), min_size=1, max_size=3))
    said = draw(st.one_of(st.none(), WORDS))
    answered = draw(st.lists(st.sampled_from(calls), max_size=3))
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": draw(text_or_parts(TEXT_PARTS))} for call in answered
    ]
    return [{"role": "assistant", "content": said, "tool_calls": calls}, *results]


TURNS = st.one_of(
    USER_MESSAGES.map(lambda message: [message]),
    PLAIN_MESSAGES.map(lambda message: [message]),
    ASSISTANT_MESSAGES.map(lambda message: [message]),
    tool_turns(),
    st.just([{"role": "tool", "tool_call_id": "from nowhere", "content": "42"}]),
    st.just([{"role": "function", "name": "f", "content": None}]),
)
MESSAGES = st.lists(TURNS, min_size=1, max_size=4).map(lambda turns: [message for turn in turns for message in turn])

FUNCTIONS = st.fixed_dictionaries(
    {"name": NAMES},
    optional={"description": WORDS, "parameters": SCHEMAS, "strict": st.sampled_from([True, False, None])},
)
TOOLS = st.lists(
    st.one_of(
        FUNCTIONS.map(lambda function: {"type": "function", "function": function}),
        st.just({"type": "custom", "custom": {"name": "shell"}}),
    ),
    max_size=3,
)
TOOL_CHOICES = st.one_of(
    st.sampled_from(["none", "auto", "required"]),
    NAMES.map(lambda name: {"type": "function", "function": {"name": name}}),
    st.just({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}),
)
RESPONSE_FORMATS = st.one_of(
    st.sampled_from([{"type": "text"}, {"type": "json_object"}, {"type": "grammar", "value": "x"}]),
    SCHEMAS.map(lambda schema: {"type": "json_schema", "json_schema": {"name": "n", "schema": schema, "strict": True}}),
    st.just({"type": "json_schema"}),
)

CHAT_PARAMETERS: dict[str, SearchStrategy[Any]] = {
    "temperature": st.floats(0, 2),
    "top_p": st.floats(0, 1),
    "n": st.integers(1, 128),
    "stop": st.one_of(WORDS, st.lists(WORDS, max_size=4)),
    "seed": st.integers(-(2**63), 2**63 - 1),
    "max_tokens": st.integers(1, 10**9),
    "max_completion_tokens": st.integers(1, 10**9),
    "frequency_penalty": st.floats(-2, 2),
    "presence_penalty": st.floats(-2, 2),
    "logit_bias": st.dictionaries(st.from_regex(r"[0-9]{1,5}", fullmatch=True), st.integers(-100, 100), max_size=2),
    "logprobs": st.sampled_from([True]),
    "tools": TOOLS,
    "functions": st.lists(FUNCTIONS, min_size=1, max_size=2),
    "function_call": st.sampled_from(["none", "auto"]),
    "tool_choice": TOOL_CHOICES,
    "parallel_tool_calls": st.booleans(),
    "response_format": RESPONSE_FORMATS,
    "reasoning_effort": st.sampled_from(["none", "minimal", "low", "medium", "high", "xhigh", "max"]),
    "verbosity": st.sampled_from(["low", "medium", "high"]),
    "metadata": st.dictionaries(NAMES, WORDS, max_size=2),
    "user": WORDS,
    "safety_identifier": WORDS,
    "prompt_cache_key": WORDS,
    "store": st.booleans(),
    "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
    "modalities": st.sampled_from([["text"], ["text", "audio"]]),
    "audio": st.just({"voice": "alloy", "format": "mp3"}),
    "prediction": st.just({"type": "content", "content": "x"}),
    "web_search_options": st.just({}),
    "top_k": st.integers(1, 100),
    "nobody_knows_this": st.one_of(st.none(), st.booleans(), WORDS),
}
"""OpenAI's parameters, one that many servers add, and one that no provider has."""


@st.composite
def chat_bodies(draw: DrawFn) -> JsonObject:
    """Return a strategy for chat requests that OpenAI accepts."""
    body = draw(
        st.fixed_dictionaries(
            {"model": st.just("alias"), "messages": MESSAGES},
            optional={name: st.one_of(st.none(), value) for name, value in CHAT_PARAMETERS.items()},
        )
    )
    if body.get("logprobs") and draw(st.booleans()):
        body["top_logprobs"] = draw(st.integers(0, 20))
    return _valid("chat", body)


INPUTS = st.one_of(
    st.text(min_size=1, max_size=20),
    st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=5),
    st.lists(st.integers(0, 100_000), min_size=1, max_size=5),
    st.lists(st.lists(st.integers(0, 100_000), min_size=1, max_size=3), min_size=1, max_size=3),
)


@st.composite
def embeddings_bodies(draw: DrawFn) -> JsonObject:
    """Return a strategy for embeddings requests that OpenAI accepts."""
    parameters: dict[str, SearchStrategy[Any]] = {
        "dimensions": st.integers(1, 4096),
        "encoding_format": st.sampled_from(["float", "base64"]),
        "user": WORDS,
        "nobody_knows_this": st.booleans(),
    }
    optional = {name: st.one_of(st.none(), value) for name, value in parameters.items()}
    fixed: dict[str, SearchStrategy[Any]] = {"model": st.just("alias"), "input": INPUTS}
    return _valid("embeddings", draw(st.fixed_dictionaries(fixed, optional=optional)))


def _valid(operation: Operation, body: JsonObject) -> JsonObject:
    fault = openai.validation_failure(operation, body)
    assert fault is None, f"{fault}: {json.dumps(body)}"
    return body
