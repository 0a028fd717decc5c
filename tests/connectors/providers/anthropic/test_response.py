from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.anthropic.response import read_completion
from connectors.providers.provider import ProviderAnswer, ProviderError
from schemas.events.parts import Usage


def answer(content: list[Any], stop_reason: str | None = "end_turn", **more: Any) -> ProviderAnswer:
    message = {"type": "message", "id": "m1", "content": content, "stop_reason": stop_reason, **more}
    return read_completion(message, 7, by_tool=False)


@pytest.mark.parametrize(
    ("stop_reason", "finish_reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("pause_turn", "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
        ("something_new", "stop"),
    ],
)
def test_stop_reason_is_translated_and_kept(stop_reason: str, finish_reason: str) -> None:
    read = answer([{"type": "tool_use", "id": "t1", "name": "f", "input": {}}], stop_reason)

    choice = read.body["choices"][0]
    assert (choice["finish_reason"], choice["native_finish_reason"]) == (finish_reason, stop_reason)
    assert read.finish_reasons == (stop_reason,)


def test_refusal_without_explanation_has_a_default_text() -> None:
    message = answer([], "refusal").body["choices"][0]["message"]

    assert message["content"] is None
    assert message["refusal"] == "The provider's safety system stopped this answer."


def test_native_usage_is_kept() -> None:
    usage = {"input_tokens": 1, "cache_read_input_tokens": 2, "output_tokens": 3, "server_tool_use": None}

    read = answer([], usage=usage)

    assert read.native_usage == usage
    assert read.usage == Usage(input_tokens=3, output_tokens=3, cache_read_input_tokens=2)


@pytest.mark.parametrize("usage", [None, [], {"input_tokens": "7"}, {"input_tokens": -1, "output_tokens": True}])
def test_invalid_usage_counts_zero(usage: object) -> None:
    assert answer([], usage=usage).usage == Usage()


@pytest.mark.parametrize("body", [None, [], {}, {"content": "text"}, {"type": "error", "error": {}}])
def test_status_200_without_a_message_is_a_server_error(body: object) -> None:
    with pytest.raises(ProviderError) as caught:
        read_completion(body, 7, by_tool=False)

    assert caught.value.error_type == "server"
