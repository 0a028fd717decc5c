from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.providers.anthropic.request import write_request
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject
from tests.connectors.providers.requests import chat_bodies

TOOL = {"type": "function", "function": {"name": "f"}}


def translate(model: str = "claude-sonnet-4-5", **more: Any) -> tuple[JsonObject, list[Change]]:
    body = {"model": "alias", "messages": [{"role": "user", "content": "hi"}], **more}
    return write_request(ProviderCall("r1", "chat", model, body, 5.0), 8192, "2023-06-01")


def test_max_completion_tokens_precedes_max_tokens() -> None:
    wire, _ = translate(max_tokens=5, max_completion_tokens=7)

    assert wire["max_tokens"] == 7


def test_default_limit_is_recorded() -> None:
    wire, changes = translate()

    assert wire["max_tokens"] == 8192
    assert changes[0] == Change(param="max_tokens", action="transformed", detail="8192 by default")


def test_user_is_sent_as_a_stable_digest() -> None:
    by_user, _ = translate(user="ann@example.org")
    by_identifier, _ = translate(user="else", safety_identifier="ann@example.org")

    assert by_user["metadata"] == by_identifier["metadata"]
    assert "ann" not in str(by_user)


@pytest.mark.parametrize("stop", ["", " ", ["END", "\n"]])
def test_blank_stop_is_refused(stop: object) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(stop=stop)

    assert caught.value.param == "stop"


def test_temperature_with_top_p_is_refused_by_newer_models() -> None:
    wire, _ = translate("claude-sonnet-4-20250514", temperature=0.5, top_p=0.9)

    with pytest.raises(ProviderError) as caught:
        translate("claude-sonnet-4-5", temperature=0.5, top_p=0.9)

    assert (wire["temperature"], wire["top_p"]) == (0.5, 0.9)
    assert caught.value.param == "top_p"


def test_answer_tool_with_thinking_budget_is_refused() -> None:
    model = "claude-sonnet-4-20250514"

    with pytest.raises(ProviderError) as caught:
        translate(model, response_format={"type": "json_object"}, reasoning_effort="low")

    assert caught.value.param == "reasoning_effort"


def test_thinking_is_dropped_after_tool_calls_without_thinking() -> None:
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "t1", "content": "1"},
    ]

    wire, changes = translate(messages=turns, tools=[TOOL], reasoning_effort="low")

    assert "thinking" not in wire
    assert changes[-1].param == "reasoning_effort"
    assert changes[-1].action == "dropped"


def test_anthropics_own_parameters_are_passed() -> None:
    wire, _ = translate(thinking={"type": "adaptive"}, output_config={"effort": "low"}, top_k=3)

    assert (wire["thinking"], wire["output_config"]) == ({"type": "adaptive"}, {"effort": "low"})


@given(
    body=chat_bodies(),
    model=st.sampled_from(["claude-3-5-haiku-20241022", "claude-opus-4-6", "claude-opus-5", "claude-sonnet-5-5"]),
)
@settings(max_examples=300, deadline=None)
def test_any_request_is_translated_or_refused_at_every_generation(body: JsonObject, model: str) -> None:
    outcome = tried(ProviderCall("r1", "chat", model, body, 5.0))

    if isinstance(outcome, ProviderError):
        assert outcome.error_type == "invalid_request"
        assert (outcome.param or "").partition("[")[0] in body
    else:
        wire, changes = outcome
        assert orjson.dumps(wire)
        assert {change.param.partition("[")[0] for change in changes} <= body.keys() | {"max_tokens"}


def tried(call: ProviderCall) -> tuple[JsonObject, list[Change]] | ProviderError:
    try:
        return write_request(call, 8192, "2023-06-01")
    except ProviderError as error:
        return error
