from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.gemini.request import write_chat
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject
from tests.connectors.providers.requests import chat_bodies

HI: list[JsonObject] = [{"role": "user", "content": "hi"}]
FUNCTION: JsonObject = {"name": "f", "parameters": {"type": "object"}}
TOOL = {"type": "function", "function": FUNCTION}


def translate(body: JsonObject, model: str = "gemini-2.5-flash") -> JsonObject:
    return write_chat(ProviderCall("r1", "chat", model, {"messages": HI, **body}, 5.0))[0]


@pytest.mark.parametrize(
    ("choice", "strict", "config"),
    [
        ("auto", False, {"mode": "AUTO"}),
        ("auto", True, {"mode": "VALIDATED"}),
        ("none", True, {"mode": "NONE"}),
        ("required", True, {"mode": "ANY"}),
        ({"type": "function", "function": {"name": "f"}}, False, {"mode": "ANY", "allowedFunctionNames": ["f"]}),
        (
            {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [{"function": {"name": "f"}}]}},
            False,
            {"mode": "VALIDATED", "allowedFunctionNames": ["f"]},
        ),
    ],
)
def test_tool_choice_is_translated_to_a_mode(choice: Any, strict: bool, config: JsonObject) -> None:
    tool = {"type": "function", "function": {**FUNCTION, "strict": strict}}

    body = translate({"tools": [tool], "tool_choice": choice})

    assert body["toolConfig"]["functionCallingConfig"] == config


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "medium", {"thinkingBudget": 8192, "includeThoughts": True}),
        ("models/gemini-2.5-pro", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-flash-preview", "minimal", {"thinkingLevel": "MINIMAL", "includeThoughts": True}),
        ("gemini-3.1-pro-preview", "minimal", {"thinkingLevel": "LOW", "includeThoughts": True}),
        ("gemini-flash-latest", "low", {"thinkingLevel": "LOW", "includeThoughts": True}),
    ],
)
def test_effort_is_a_budget_or_a_level_by_model(model: str, effort: str, config: JsonObject) -> None:
    assert translate({"reasoning_effort": effort}, model)["generationConfig"]["thinkingConfig"] == config


def test_effort_none_is_accepted_without_thinking() -> None:
    assert "generationConfig" not in translate({"reasoning_effort": "none"}, "gemini-2.0-flash")


@pytest.mark.parametrize(
    ("body", "model", "param"),
    [
        ({"reasoning_effort": "none"}, "gemini-2.5-pro", "reasoning_effort"),
        ({"reasoning_effort": "low"}, "gemini-2.0-flash", "reasoning_effort"),
        ({"reasoning_effort": "xhigh"}, "gemini-3-flash-preview", "reasoning_effort"),
        ({"n": 9}, "gemini-2.5-flash", "n"),
        ({"seed": 2**31}, "gemini-2.5-flash", "seed"),
        ({"stop": list("abcdef")}, "gemini-2.5-flash", "stop"),
        ({"logit_bias": {"1": 1}}, "gemini-2.5-flash", "logit_bias"),
        ({"max_tokens": 1, "max_completion_tokens": 2}, "gemini-2.5-flash", "max_completion_tokens"),
        ({"tools": [TOOL], "parallel_tool_calls": False}, "gemini-2.5-flash", "parallel_tool_calls"),
        ({"tool_choice": "required"}, "gemini-2.5-flash", "tool_choice"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}}]}, "gemini-2.5-flash", "tools"),
        ({"modalities": ["text", "audio"]}, "gemini-2.5-flash", "modalities"),
        ({"response_format": {"type": "grammar"}}, "gemini-2.5-flash", "response_format"),
        ({"nobody_knows_this": 1}, "gemini-2.5-flash", "nobody_knows_this"),
    ],
)
def test_unsupported_parameter_is_refused_by_name(body: JsonObject, model: str, param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(body, model)

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", param)


def translated(body: JsonObject, model: str) -> JsonObject | ProviderError:
    try:
        return translate(body, model)
    except ProviderError as error:
        return error


@given(chat_bodies(), st.sampled_from(["gemini-2.0-flash", "gemini-2.5-pro", "gemini-3-flash-preview", "x"]))
def test_any_chat_is_translated_or_refused_by_name(body: JsonObject, model: str) -> None:
    end = translated(body, model)

    if isinstance(end, ProviderError):
        assert (end.error_type, end.param in body) == ("invalid_request", True)
    else:
        assert all(content["parts"] for content in end["contents"])
        assert json.loads(json.dumps(end)) == end
