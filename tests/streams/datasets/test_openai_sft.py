from __future__ import annotations

import json
from typing import Any

import pytest

from streams.datasets.openai_sft import REASONS, UnusableExampleError, to_example

QUESTION = {"role": "user", "content": "Wie heißt der Fluss? 🌊"}
CALL = {"id": "call_1", "type": "function", "function": {"name": "gateway", "arguments": '{"city": "Köln"}'}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "Rhein"}


def body(*messages: dict[str, Any], **fields: Any) -> str:
    return json.dumps({"model": "m", "messages": messages or (QUESTION,), **fields})


def answer(finish_reason: str = "stop", **message: Any) -> str:
    message = {"role": "assistant", "content": "Der Rhein."} | message
    return json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]})


def reason(request: str, response: str) -> str:
    with pytest.raises(UnusableExampleError) as unfit:
        to_example(request, response)
    return unfit.value.reason


def test_example_has_the_messages_and_the_answer() -> None:
    made = to_example(body(), answer())

    assert made == {"messages": [QUESTION, {"role": "assistant", "content": "Der Rhein."}]}


def test_example_has_the_offered_tools() -> None:
    tools = [{"type": "function", "function": {"name": "gateway", "parameters": {"type": "object"}}}]

    made = to_example(
        body(tools=tools, parallel_tool_calls=False), answer("tool_calls", content=None, tool_calls=[CALL])
    )

    assert made["tools"] == tools
    assert made["parallel_tool_calls"] is False
    assert made["messages"][-1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_tool_call_with_its_result_is_kept() -> None:
    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}

    made = to_example(body(QUESTION, called, RESULT), answer())

    assert [message["role"] for message in made["messages"]] == ["user", "assistant", "tool", "assistant"]


def test_other_fields_of_the_answer_are_dropped() -> None:
    made = to_example(body(), answer(refusal=None, annotations=[], audio=None, reasoning_content="hm", tool_calls=[]))

    assert made["messages"][-1] == {"role": "assistant", "content": "Der Rhein."}


@pytest.mark.parametrize(
    ("finish_reason", "named"),
    [("length", "truncated"), ("content_filter", "filtered"), ("function_call", "unfinished")],
)
def test_incomplete_answer_is_skipped(finish_reason: str, named: str) -> None:
    assert reason(body(), answer(finish_reason)) == named


def test_refusal_is_skipped() -> None:
    assert reason(body(), answer(content=None, refusal="I can't help with that.")) == "declined"


@pytest.mark.parametrize("said", ["", "  \n", None, []])
def test_empty_message_is_skipped(said: object) -> None:
    assert reason(body(), answer(content=said)) == "empty_message"
    assert reason(body({"role": "user", "content": said}), answer()) == "empty_message"


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([QUESTION, RESULT], id="a result without a call"),
        pytest.param([{"role": "assistant", "tool_calls": [CALL]}, QUESTION], id="a call without a result"),
        pytest.param([{"role": "assistant", "tool_calls": [CALL, CALL]}, RESULT], id="two calls of one id"),
        pytest.param([{"role": "assistant", "tool_calls": [{"id": "call_1"}]}, RESULT], id="a call of nothing"),
        pytest.param(
            [
                {"role": "assistant", "tool_calls": [CALL | {"function": {"name": "gateway", "arguments": "{"}}]},
                RESULT,
            ],
            id="arguments that are not JSON",
        ),
    ],
)
def test_unpaired_tool_calls_are_skipped(messages: list[dict[str, Any]]) -> None:
    assert reason(body(*messages), answer()) == "tool_pairing"


def test_request_that_ends_with_an_assistant_message_is_skipped() -> None:
    assert reason(body(QUESTION, {"role": "assistant", "content": "Der"}), answer()) == "not_a_turn"
    assert reason(json.dumps({"messages": []}), answer()) == "not_a_turn"


def test_unknown_role_is_skipped() -> None:
    assert reason(body({"role": "critic", "content": "no"}), answer()) == "bad_role"


@pytest.mark.parametrize("text", ["{", "[]", '{"messages": {}}', '{"messages": [1]}', '"\\ud800"'])
def test_invalid_request_body_is_unreadable(text: str) -> None:
    assert reason(text, answer()) == "unreadable"


@pytest.mark.parametrize("text", ["nope", "{}", '{"choices": []}', '{"choices": [{}]}'])
def test_invalid_answer_body_is_unreadable(text: str) -> None:
    assert reason(body(), text) == "unreadable"


def test_expired_text_has_its_own_reason() -> None:
    assert reason("", answer()) == "body_expired"
    assert reason(body(), "") == "body_expired"


def test_each_reason_has_a_wording() -> None:
    assert all(str(UnusableExampleError(name)) for name in REASONS)
