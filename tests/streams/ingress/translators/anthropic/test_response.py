from __future__ import annotations

from typing import Any

import pytest

from streams.ingress.translators.anthropic.response import message, refusal

JSON = dict[str, Any]

THOUGHT = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}


def completion(said: JSON, finish_reason: str = "stop", native: str | None = None, **more: Any) -> JSON:
    choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish_reason}
    return {"id": "c1", "model": "m", "choices": [{**choice, "native_finish_reason": native}], **more}


def call(arguments: str) -> JSON:
    return {"tool_calls": [{"id": "t1", "type": "function", "function": {"name": "f", "arguments": arguments}}]}


def test_text_thinking_and_tool_calls_are_blocks_in_anthropics_order() -> None:
    said = {"content": "I look.", "reasoning_content": "Hm.", **call('{"a": 1}')}

    told = message(completion(said, "tool_calls"))

    assert told["content"] == [
        {"type": "thinking", "thinking": "Hm.", "signature": ""},
        {"type": "text", "text": "I look."},
        {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}},
    ]
    assert told["stop_reason"] == "tool_use"


@pytest.mark.parametrize(
    ("given", "expected"), [("chatcmpl-7", "msg_7"), ("cmpl_7", "msg_cmpl_7"), ("msg_01XF", "msg_01XF")]
)
def test_message_id_has_anthropics_prefix_and_keeps_an_id_of_anthropic(given: str, expected: str) -> None:
    assert message({**completion({"content": "ho"}), "id": given})["id"] == expected


def test_signed_thinking_blocks_are_unchanged() -> None:
    said = {"content": "ho", "reasoning_content": "Hm.", "extra_content": {"anthropic": {"thinking_blocks": [THOUGHT]}}}

    told = message(completion(said))

    assert told["content"][0] == THOUGHT


def test_arguments_that_are_no_object_are_wrapped() -> None:
    told = message(completion(call('{"broken'), "tool_calls"))

    assert told["content"][0]["input"] == {"INVALID_JSON": '{"broken'}


@pytest.mark.parametrize(
    ("finish_reason", "native", "expected"),
    [
        ("stop", None, "end_turn"),
        ("stop", "eos_token", "end_turn"),
        ("stop", "stop_sequence", "stop_sequence"),
        ("stop", "pause_turn", "pause_turn"),
        ("stop", "tool_use", "end_turn"),
        ("length", "MAX_TOKENS", "max_tokens"),
        ("length", "model_context_window_exceeded", "model_context_window_exceeded"),
        ("tool_calls", None, "tool_use"),
        ("content_filter", "SAFETY", "refusal"),
        ("error", None, "end_turn"),
    ],
)
def test_native_stop_reason_of_anthropic_is_kept(finish_reason: str, native: str | None, expected: str) -> None:
    assert message(completion({"content": "ho"}, finish_reason, native))["stop_reason"] == expected


def test_refusal_has_its_explanation() -> None:
    told = message(completion({"content": None, "refusal": "It could do harm."}, "content_filter"))

    assert told["stop_details"] == {"type": "refusal", "category": None, "explanation": "It could do harm."}
    assert told["content"] == [{"type": "text", "text": "It could do harm."}]


def test_input_tokens_exclude_cached_tokens() -> None:
    counts = {
        "prompt_tokens": 100,
        "completion_tokens": 30,
        "prompt_tokens_details": {"cached_tokens": 40, "cache_creation_tokens": 10},
        "completion_tokens_details": {"reasoning_tokens": 20},
    }

    told = message(completion({"content": "ho"}, usage=counts))

    assert told["usage"] == {
        "input_tokens": 50,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 40,
        "output_tokens": 30,
        "output_tokens_details": {"thinking_tokens": 20},
    }


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ({"code": "invalid_api_key", "type": "invalid_request_error"}, "authentication_error"),
        ({"code": "model_not_found", "type": "invalid_request_error"}, "not_found_error"),
        ({"code": "capacity", "type": "server_error"}, "overloaded_error"),
        ({"code": "overloaded", "type": "server_error"}, "overloaded_error"),
        ({"code": "provider_unavailable", "type": "server_error"}, "overloaded_error"),
        ({"code": "insufficient_quota", "type": "insufficient_quota"}, "rate_limit_error"),
        ({"code": "policy_violation", "type": "permission_error"}, "permission_error"),
        ({"code": "network", "type": "server_error"}, "api_error"),
        ({"code": None, "type": "invalid_request_error"}, "invalid_request_error"),
    ],
)
def test_error_has_anthropics_type(error: JSON, expected: str) -> None:
    told = refusal({"error": {**error, "message": "No."}})

    assert told == {"type": "error", "error": {"type": expected, "message": "No."}}
