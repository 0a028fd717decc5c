"""Translators with any value in place of any part of a request or an answer: they translate or refuse it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from schemas.events.parts import Failure
from schemas.kafka.headers import STREAMED
from streams.ingress.translators.anthropic.translator import AnthropicTranslator
from streams.ingress.translators.responses.translator import ResponsesTranslator
from streams.ingress.translators.translator import ApiTranslator
from tests.streams.ingress.fake_log import StageAnswer
from tests.streams.ingress.gateway import Gateway

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


COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "finish_reason": "tool_calls",
            "message": {
                "role": "assistant",
                "content": "I look.",
                "refusal": None,
                "reasoning_content": "Hm.",
                "extra_content": {"anthropic": {"thinking_blocks": [{"type": "thinking", "signature": "s"}]}},
                "tool_calls": [
                    {"id": "t", "type": "function", "index": 0, "function": {"name": "look", "arguments": '{"at": 1}'}}
                ],
            },
            "logprobs": {"content": [{"token": "I", "logprob": -1.0}]},
        }
    ],
    "usage": {
        "prompt_tokens": 1,
        "completion_tokens": 2,
        "total_tokens": 3,
        "prompt_tokens_details": {"cached_tokens": 1},
        "completion_tokens_details": {"reasoning_tokens": 1},
    },
}
PATHS: dict[str, dict[str, Any]] = {
    "/v1/messages": {"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "x"}]},
    "/v1/responses": {"model": "m", "input": "x"},
}


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_has_a_complete_response_that_no_client_retries(gateway: Gateway, path: str) -> None:
    answers = [*broken(COMPLETION), *(nest(COMPLETION, depth) for depth in (100, 240, 300, 1000)), b"", b"not json"]
    translated = 0

    for answer in answers:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        gateway.log.answers = lambda _, body=body: StageAnswer(body=body)  # type: ignore[misc]

        response = await gateway.http.post(path, json=PATHS[path])

        translated += response.status_code == 200
        assert response.status_code == 200 or response.headers["x-should-retry"] == "false", answer
        assert response.json()

    assert translated > len(answers) / 2


@pytest.mark.parametrize("path", PATHS)
async def test_every_stream_ends_with_an_event_of_its_api(gateway: Gateway, path: str) -> None:
    for answer in [*broken(COMPLETION), nest(COMPLETION, 300), b"not json"]:
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        gateway.log.answers = lambda _, body=body: StageAnswer(body=body, extra=((STREAMED, b"1"),))  # type: ignore[misc]

        response = await gateway.http.post(path, json=PATHS[path] | {"stream": True})

        is_stream = response.headers["content-type"].startswith("text/event-stream")
        assert not is_stream or response.text.endswith("\n\n"), answer
        assert is_stream or response.json()


def test_tool_arguments_that_nest_too_deeply_stay_text() -> None:
    arguments = '{"a":' * 300 + "1" + "}" * 300
    call = {"id": "t", "type": "function", "function": {"name": "look", "arguments": arguments}}
    completion = {"id": "x", "choices": [{"index": 0, "message": {"tool_calls": [call]}}]}

    message = orjson.loads(AnthropicTranslator().from_completion(orjson.dumps(completion), b""))

    assert message["content"][0]["input"] == {"INVALID_JSON": arguments}


def nest(completion: Any, depth: int) -> Any:
    """Return a completion with an additional field, and tool arguments, that nest as deeply as this."""
    nested = '{"a":' * depth + "1" + "}" * depth
    deep = json.loads(json.dumps(completion))
    deep["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = nested
    return json.dumps(deep)[:-1].encode() + b', "extra": ' + nested.encode() + b"}"
