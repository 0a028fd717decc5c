from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from connectors.providers.anthropic.messages import tool_id
from connectors.providers.anthropic.request import write_request
from connectors.providers.provider import ProviderCall, ProviderError
from streams.ingress.translators.anthropic.request import chat_body
from streams.ingress.translators.errors import UntranslatableError
from tests.connectors.providers.requests import chat_bodies

JSON = dict[str, Any]

HI: list[JSON] = [{"role": "user", "content": "hi"}]
ASKED: JSON = {"model": "alias", "max_tokens": 100, "messages": HI}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"temperature": 0.5, "top_p": 0.9, "top_k": 3}, {"temperature": 0.5, "top_p": 0.9, "top_k": 3}),
        ({"stop_sequences": ["END"]}, {"stop": ["END"]}),
        ({"metadata": {"user_id": "u1"}}, {"user": "u1"}),
        ({"tool_choice": {"type": "any"}}, {"tool_choice": "required"}),
        ({"tool_choice": {"type": "none"}}, {"tool_choice": "none"}),
        (
            {"tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True}},
            {"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": False},
        ),
        ({"thinking": {"type": "adaptive"}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, {"reasoning_effort": "low"}),
        ({"thinking": {"type": "enabled", "budget_tokens": 30_000}}, {"reasoning_effort": "high"}),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "low"}}, {"reasoning_effort": "none"}),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "xhigh"}}, {"reasoning_effort": "xhigh"}),
        ({"output_config": {"effort": "low"}, "thinking": {"type": "adaptive"}}, {"reasoning_effort": "low"}),
        (
            {"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}},
            {
                "response_format": {
                    "type": "json_schema",
                    "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": True},
                }
            },
        ),
        ({"service_tier": "auto", "cache_control": {"type": "ephemeral"}, "inference_geo": None}, {}),
    ],
)
def test_each_parameter_is_translated(asked: JSON, said: JSON) -> None:
    chat = chat_body({**ASKED, **asked})

    assert chat == {"model": "alias", "max_completion_tokens": 100, "messages": HI, **said}


def test_tool_becomes_a_function() -> None:
    tool = {"name": "f", "description": "F", "input_schema": {"type": "object"}, "cache_control": {"type": "ephemeral"}}

    chat = chat_body({**ASKED, "tools": [tool]})

    function = {"name": "f", "description": "F", "parameters": {"type": "object"}}
    assert chat["tools"] == [{"type": "function", "function": function, "cache_control": {"type": "ephemeral"}}]


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"model": None}, "model"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop_sequences": ["a"] * 5}, "stop_sequences"),
        ({"metadata": "u1"}, "metadata"),
        ({"tools": {}}, "tools"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
        ({"tool_choice": {"type": "some"}}, "tool_choice.type"),
        ({"thinking": {"type": "enabled"}}, "thinking"),
        ({"output_config": {"format": {"type": "json_schema"}}}, "output_config.format.schema"),
        ({"container": "c"}, "container"),
        ({"messages": []}, "messages"),
    ],
)
def test_untranslatable_parameter_is_refused_by_name(asked: JSON, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        chat_body({**ASKED, **asked})

    assert caught.value.param == param


# --- there and back


def texts(content: object) -> str:
    """All that is said; blank parts say nothing."""
    if isinstance(content, str):
        return content if content.strip() else ""
    parts = content if isinstance(content, list) else []
    return "".join(texts(part.get("text", part.get("refusal"))) for part in parts)


def essence(messages: list[JSON]) -> list[tuple[object, ...]]:
    """Return the instructions, then each message and call with its role."""
    system = "".join(texts(message["content"]) for message in messages if message["role"] in {"system", "developer"})
    told: list[tuple[object, ...]] = [("system", system)]
    for message in messages:
        if message["role"] in {"system", "developer"}:
            continue
        calls = [
            (tool_id(call["id"]), call["function"]["name"], call["function"]["arguments"].replace(" ", "") or "{}")
            for call in message.get("tool_calls") or ()
        ]
        said = texts(message.get("content")) + texts(message.get("refusal"))
        told.append((message["role"], said, calls, tool_id(message.get("tool_call_id", "none"))))
    return told


def sayable(body: JSON) -> tuple[JSON, JSON]:
    """A request without what Anthropic refuses by name, and what it becomes there."""
    while True:
        try:
            wire, _ = write_request(ProviderCall("r1", "chat", "claude-sonnet-4-5", body, 5.0), 8192, "2023-06-01")
        except ProviderError as error:
            body = without(body, error.param or "")
        else:
            return body, wire


def without(body: JSON, param: str) -> JSON:
    index = re.match(r"messages\[(\d+)\]", param)
    if index is not None:
        return {**body, "messages": body["messages"][: int(index[1])] + body["messages"][int(index[1]) + 1 :]}
    if param == "messages":
        return {**body, "messages": body["messages"] + HI}
    return {name: value for name, value in body.items() if name != param.partition("[")[0]}


@given(body=chat_bodies())
@settings(max_examples=300, deadline=None)
def test_texts_roles_and_tool_calls_survive_a_round_trip(body: JSON) -> None:
    asked, wire = sayable(body)

    chat = chat_body(wire)

    assert essence(chat["messages"]) == essence(asked["messages"])


@given(body=chat_bodies())
@settings(max_examples=200, deadline=None)
def test_parameters_survive_a_round_trip(body: JSON) -> None:
    asked, wire = sayable({**body, "reasoning_effort": None, "response_format": None})

    chat = chat_body(wire)

    for name in ("temperature", "top_p", "top_k"):
        assert chat.get(name) == asked.get(name)
    limit = asked.get("max_completion_tokens") or asked.get("max_tokens") or 8192
    assert chat["max_completion_tokens"] == limit
    names = [tool["function"]["name"] for tool in asked.get("tools") or ()]
    assert [tool["function"]["name"] for tool in chat.get("tools", ())] == names
    if names:
        assert chat.get("tool_choice", "auto") == (asked.get("tool_choice") or "auto")
