from __future__ import annotations

from typing import Any

import pytest

from schemas.openai import bodies as openai
from streams.ingress.translators.errors import UntranslatableError
from streams.ingress.translators.responses.request import chat_body

JSON = dict[str, Any]

ASKED: JSON = {"model": "alias", "input": "hi"}
SCHEMA: JSON = {"type": "object", "properties": {}}


def chat(**more: Any) -> JSON:
    """The chat request for this one, which OpenAI must take; without what every one has."""
    body = chat_body(ASKED | more)
    assert openai.validation_failure("chat", body) is None
    return {name: value for name, value in body.items() if name not in {"model", "messages"}}


def test_minimal_request_becomes_one_message() -> None:
    assert chat_body(ASKED) == {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": False}, None),
        ({"metadata": {"team": "water"}, "user": "u", "service_tier": "flex"}, None),
        ({"stream": False}, None),
        ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
        ({"max_output_tokens": 9}, {"max_completion_tokens": 9}),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
        ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
        ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
        ({"top_logprobs": 2}, {"top_logprobs": 2, "logprobs": True}),
        ({"include": ["message.output_text.logprobs", "reasoning.encrypted_content"]}, {"logprobs": True}),
        ({"store": True, "background": False, "truncation": "disabled", "previous_response_id": None}, {}),
        ({"tools": [], "top_logprobs": 0}, {}),
    ],
)
def test_parameters_are_translated(asked: JSON, said: JSON | None) -> None:
    assert chat(**asked) == (asked if said is None else said)


def test_json_schema_becomes_a_response_format() -> None:
    form = {"type": "json_schema", "name": "answer", "schema": SCHEMA, "strict": True}

    said = chat(text={"format": form})

    json_schema = {"name": "answer", "schema": SCHEMA, "strict": True}
    assert said == {"response_format": {"type": "json_schema", "json_schema": json_schema}}


def test_functions_and_tool_choice_are_nested() -> None:
    tool = {"type": "function", "name": "look", "description": "Look.", "parameters": SCHEMA, "strict": None}

    said = chat(tools=[tool], tool_choice={"type": "function", "name": "look"})

    function = {"name": "look", "description": "Look.", "parameters": SCHEMA}
    assert said["tools"] == [{"type": "function", "function": function}]
    assert said["tool_choice"] == {"type": "function", "function": {"name": "look"}}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": "conv_1"}, "conversation"),
        ({"background": True}, "background"),
        ({"truncation": "auto"}, "truncation"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type"),
        ({"tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": "json"}, "text"),
        ({"include": "all"}, "include"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"model": None}, "model"),
        ({"invented": 1}, "invented"),
    ],
)
def test_untranslatable_responses_parameter_is_refused_by_name(asked: JSON, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        chat_body(ASKED | asked)

    assert caught.value.param == param
    assert param in caught.value.message
