from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.anthropic.models import traits_of
from connectors.providers.anthropic.structured_output import ANSWER_TOOL, close_objects, write_format
from connectors.providers.provider import ProviderError
from schemas.json_types import JsonObject

OLD, NEW, NEWEST = "claude-sonnet-4-20250514", "claude-sonnet-4-5", "claude-opus-5-5"
SCHEMA: JsonObject = {"type": "object", "properties": {"a": {"type": "string"}}}
WANTED = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
TOOL = {"name": "f", "input_schema": {"type": "object"}}


def translate(model: str, wanted: JsonObject, **wire: Any) -> JsonObject:
    wire["model"] = model
    write_format(wire, {"response_format": wanted}, traits_of(model), [])
    return wire


def test_json_schema_is_sent_to_models_that_support_it() -> None:
    wire = translate(NEW, WANTED, tools=[TOOL])

    assert wire["output_config"]["format"]["schema"] == {**SCHEMA, "additionalProperties": False}
    assert wire["tools"] == [TOOL]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, {"type": "any"}),
        ({"type": "auto", "disable_parallel_tool_use": True}, {"type": "any", "disable_parallel_tool_use": True}),
        ({"type": "none"}, {"type": "tool", "name": ANSWER_TOOL}),
        ({"type": "tool", "name": "f"}, {"type": "tool", "name": "f"}),
    ],
)
def test_answer_tool_is_added_to_the_callers_tools(choice: JsonObject, expected: JsonObject) -> None:
    wire = translate(OLD, WANTED, tools=[TOOL], tool_choice=choice)

    assert [tool["name"] for tool in wire["tools"]] == ["f", ANSWER_TOOL]
    assert wire["tool_choice"] == expected


@pytest.mark.parametrize(
    ("model", "wanted", "param"),
    [
        (NEWEST, {"type": "json_object"}, "response_format"),
        (NEW, {"type": "grammar"}, "response_format"),
        (NEW, {"type": "json_schema"}, "response_format"),
    ],
)
def test_unsupported_format_is_refused(model: str, wanted: JsonObject, param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(model, wanted)

    assert caught.value.param == param


def test_caller_tool_named_like_the_answer_tool_is_refused() -> None:
    with pytest.raises(ProviderError) as caught:
        translate(OLD, WANTED, tools=[{**TOOL, "name": ANSWER_TOOL}])

    assert caught.value.param == "tools"


def test_schema_is_closed_and_unsupported_keywords_are_described() -> None:
    inner = {"type": "object", "properties": {"maximum": {"type": "integer", "maximum": 9, "description": "Big."}}}

    taken = close_objects(
        {"type": "object", "$defs": {"d": inner}, "enum": [{"type": "object"}], "anyOf": [True, inner]}
    )

    told = {"maximum": {"type": "integer", "description": 'Big. {"maximum":9}'}}
    closed_inner = {"type": "object", "properties": told, "additionalProperties": False}
    assert taken == {
        "type": "object",
        "$defs": {"d": closed_inner},
        "enum": [{"type": "object"}],
        "anyOf": [True, closed_inner],
        "additionalProperties": False,
    }
