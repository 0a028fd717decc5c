"""Whatever stands in place of any part of a request: a front translates it or refuses it, and never breaks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from schemas.events.parts import Failure
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator

SECRET = "a line of Somebody's own"
WRONG: tuple[object, ...] = (
    None,
    True,
    1,
    1.5,
    "",
    SECRET,
    [],
    [1],
    [[]],
    {},
    {"type": []},
    [{"type": []}],
    {SECRET: 1},
)
SCHEMA = {"type": "object", "properties": {}}
MESSAGES = {
    "model": "m",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}]},
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "Hm.", "signature": "s"},
                {"type": "tool_use", "id": "t", "name": "look", "input": {"at": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "text", "text": "rain"}]},
                {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
            ],
        },
    ],
    "tools": [{"name": "look", "input_schema": SCHEMA}],
    "tool_choice": {"type": "tool", "name": "look"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": SCHEMA}},
    "metadata": {"user_id": "u"},
    "stop_sequences": ["."],
    "stream": True,
}
RESPONSES = {
    "model": "m",
    "instructions": "Be brief.",
    "input": [
        {"role": "user", "content": [{"type": "input_image", "image_url": "https://x/y.png", "detail": "low"}]},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "extra_content": {"a": 1}},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_text", "text": "rain"}]},
        {"role": "user", "content": [{"type": "input_file", "file_data": "data:,", "filename": "f"}]},
    ],
    "tools": [{"type": "function", "name": "look", "parameters": SCHEMA}],
    "tool_choice": {"type": "function", "name": "look"},
    "text": {"verbosity": "low", "format": {"type": "json_schema", "name": "n", "schema": SCHEMA}},
    "reasoning": {"effort": "low", "summary": "auto"},
    "include": ["message.output_text.logprobs"],
    "background": False,
    "max_output_tokens": 9,
    "top_logprobs": 1,
    "stream": True,
}


def broken(value: Any) -> Iterator[Any]:
    """Every copy of a body in which one part is something else."""
    yield from WRONG
    if isinstance(value, dict):
        yield {**value, SECRET: 1}
        for name, inner in value.items():
            yield {other: value[other] for other in value if other != name}
            for wrong in broken(inner):
                yield {**value, name: wrong}
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            for wrong in broken(inner):
                yield [*value[:index], wrong, *value[index + 1 :]]


@pytest.mark.parametrize(("front", "body"), [(AnthropicTranslator(), MESSAGES), (ResponsesTranslator(), RESPONSES)])
def test_no_request_can_crash_a_translator_or_be_repeated_in_an_error(front: ApiTranslator, body: Any) -> None:
    assert isinstance(front.to_chat_request(orjson.dumps(body)), bytes)
    refused = 0

    for wrong in broken(body):
        asked = front.to_chat_request(orjson.dumps(wrong))
        if isinstance(asked, Failure):
            refused += 1
            assert SECRET not in f"{asked.message} {asked.param}"

    assert refused > 100
