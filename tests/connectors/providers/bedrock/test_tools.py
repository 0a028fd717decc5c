from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.bedrock.parameters import CHAT
from connectors.providers.bedrock.tools import ANSWER_TOOL, ConverseTools, answers_by_tool
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject

SONNET_4_5 = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
NOVA = "eu.amazon.nova-pro-v1:0"
LLAMA = "us.meta.llama3-3-70b-instruct-v1:0"
TOOL = {"type": "function", "function": {"name": "f"}}
SPEC = {"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object", "properties": {}}}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}}}


def translate(model: str = SONNET_4_5, *, uses_tools: bool = False, **asked: Any) -> ConverseTools:
    return ConverseTools(model, CHAT.apply(asked, model), uses_tools=uses_tools)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ("auto", {"auto": {}}),
        ("required", {"any": {}}),
        ({"type": "function", "function": {"name": "f"}}, {"tool": {"name": "f"}}),
    ],
)
def test_tool_choice_is_translated(choice: object, expected: JsonObject) -> None:
    assert translate(tools=[TOOL], tool_choice=choice).config == {"tools": [SPEC], "toolChoice": expected}


def test_tool_choice_none_sends_no_tools() -> None:
    assert translate(tools=[TOOL], tool_choice="none").config == {}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tools": [{"type": "custom", "custom": {"name": "f"}}]}, "tools[0]"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "parallel_tool_calls"),
        ({"tools": [TOOL], "tool_choice": "none", "uses_tools": True}, "tool_choice"),
        ({"uses_tools": True}, "messages"),
        ({"response_format": {"type": "grammar"}}, "response_format"),
        ({"response_format": {"type": "json_schema"}}, "response_format"),
        ({"response_format": SCHEMA, "model": LLAMA}, "response_format"),
        ({"response_format": {"type": "json_object"}, "model": LLAMA}, "response_format"),
        ({"response_format": SCHEMA, "model": NOVA, "tools": [TOOL]}, "response_format"),
        ({"tools": [TOOL], "tool_choice": "required", "model": "us.anthropic.claude-fable-5"}, "tool_choice"),
    ],
)
def test_unsupported_parameter_is_refused_by_name(asked: JsonObject, param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(**asked)

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", param)


def test_strict_is_sent_or_dropped_and_recorded() -> None:
    strict = {"type": "function", "function": {"name": "f", "strict": True}}

    assert translate(tools=[strict]).config["tools"][0]["toolSpec"]["strict"] is True
    applied = CHAT.apply({"tools": [strict]}, NOVA)
    assert "strict" not in ConverseTools(NOVA, applied, uses_tools=False).config["tools"][0]["toolSpec"]
    assert [change.action for change in applied.changes] == ["dropped", "transformed"]


def test_json_object_is_an_answer_tool_for_any_object() -> None:
    config = translate(response_format={"type": "json_object"}).config

    assert config["toolChoice"] == {"tool": {"name": ANSWER_TOOL}}
    assert config["tools"][0]["toolSpec"]["inputSchema"] == {"json": {"type": "object"}}


def test_text_format_is_not_sent() -> None:
    tools = translate(response_format={"type": "text"})

    assert (tools.config, tools.output) == ({}, {})


@pytest.mark.parametrize(
    ("model", "format_", "expected"),
    [
        (SONNET_4_5, SCHEMA, False),
        (NOVA, SCHEMA, True),
        (SONNET_4_5, {"type": "json_object"}, True),
        (NOVA, None, False),
    ],
)
def test_answers_by_tool_follows_from_the_format(model: str, format_: object, *, expected: bool) -> None:
    assert answers_by_tool(ProviderCall("r1", "chat", model, {"response_format": format_}, 5.0)) is expected
