from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.anthropic.models import traits_of
from connectors.providers.anthropic.tools import write_tools
from connectors.providers.provider import ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject

TOOL: JsonObject = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def translate(model: str = "claude-sonnet-4-5", **asked: Any) -> tuple[JsonObject, list[Change]]:
    wire: JsonObject = {"model": model}
    changes: list[Change] = []
    write_tools(wire, asked, traits_of(model), changes)
    return wire, changes


@pytest.mark.parametrize(
    ("asked", "choice"),
    [
        ({}, None),
        ({"tool_choice": "auto"}, {"type": "auto"}),
        ({"tool_choice": "required"}, {"type": "any"}),
        ({"tool_choice": "none"}, {"type": "none"}),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, {"type": "tool", "name": "f"}),
        ({"parallel_tool_calls": True}, None),
        ({"parallel_tool_calls": False}, {"type": "auto", "disable_parallel_tool_use": True}),
        ({"parallel_tool_calls": False, "tool_choice": "none"}, {"type": "none"}),
    ],
)
def test_tool_choice_is_translated(asked: JsonObject, choice: JsonObject | None) -> None:
    wire, _ = translate(tools=[TOOL], **asked)

    assert wire.get("tool_choice") == choice


def test_tool_choice_without_tools_is_dropped_and_recorded() -> None:
    wire, changes = translate(tools=[], tool_choice="auto")

    assert "tool_choice" not in wire
    assert [(change.param, change.action) for change in changes] == [("tool_choice", "dropped")]


def test_strict_is_sent_to_models_that_support_it() -> None:
    strict = {"type": "function", "function": {"name": "f", "strict": True}}

    newer, _ = translate(tools=[strict])
    older, changes = translate("claude-sonnet-4-20250514", tools=[strict])

    assert newer["tools"] == [{"name": "f", "input_schema": {"type": "object"}, "strict": True}]
    assert older["tools"] == [{"name": "f", "input_schema": {"type": "object"}}]
    assert changes[0].param == "tools[0]"


def test_cache_control_is_passed() -> None:
    wire, _ = translate(tools=[{**TOOL, "cache_control": {"type": "ephemeral"}}])

    assert wire["tools"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("model", "asked", "param"),
    [
        ("claude-opus-5-5", {"tools": [TOOL], "tool_choice": "required"}, "tool_choice"),
        ("claude-opus-5", {"tools": [TOOL], "tool_choice": {"type": "allowed_tools"}}, "tool_choice"),
        ("claude-opus-5", {"tools": [{"type": "custom", "custom": {"name": "shell"}}]}, "tools[0]"),
    ],
)
def test_unsupported_parameter_is_refused_by_name(model: str, asked: JsonObject, param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(model, **asked)

    assert caught.value.param == param
