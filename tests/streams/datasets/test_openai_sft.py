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


def test_an_answered_request_becomes_its_messages_and_the_answer() -> None:
    made = to_example(body(), answer())

    assert made == {"messages": [QUESTION, {"role": "assistant", "content": "Der Rhein."}]}


def test_the_tools_on_offer_stay_with_the_example() -> None:
    tools = [{"type": "function", "function": {"name": "gateway", "parameters": {"type": "object"}}}]

    made = to_example(
        body(tools=tools, parallel_tool_calls=False), answer("tool_calls", content=None, tool_calls=[CALL])
    )

    assert made["tools"] == tools
    assert made["parallel_tool_calls"] is False
    assert made["messages"][-1] == {"role": "assistant", "content": None, "tool_calls": [CALL]}


def test_a_call_that_was_answered_by_its_result_is_kept() -> None:
    called = {"role": "assistant", "content": None, "tool_calls": [CALL]}

    made = to_example(body(QUESTION, called, RESULT), answer())

    assert [message["role"] for message in made["messages"]] == ["user", "assistant", "tool", "assistant"]


def test_what_no_trainer_reads_is_left_out_of_the_answer() -> None:
    made = to_example(body(), answer(refusal=None, annotations=[], audio=None, reasoning_content="hm", tool_calls=[]))

    assert made["messages"][-1] == {"role": "assistant", "content": "Der Rhein."}


@pytest.mark.parametrize(
    ("finish_reason", "named"),
    [("length", "truncated"), ("content_filter", "filtered"), ("function_call", "unfinished")],
)
def test_an_answer_that_did_not_end_by_itself_is_left_out(finish_reason: str, named: str) -> None:
    assert reason(body(), answer(finish_reason)) == named


def test_an_answer_in_which_the_model_declines_is_left_out() -> None:
    assert reason(body(), answer(content=None, refusal="I can't help with that.")) == "declined"


@pytest.mark.parametrize("said", ["", "  \n", None, []])
def test_a_message_that_says_nothing_is_left_out(said: object) -> None:
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
def test_tool_calls_and_results_that_do_not_pair_are_left_out(messages: list[dict[str, Any]]) -> None:
    assert reason(body(*messages), answer()) == "tool_pairing"


def test_a_request_that_ends_with_the_assistants_own_words_is_no_turn() -> None:
    assert reason(body(QUESTION, {"role": "assistant", "content": "Der"}), answer()) == "not_a_turn"
    assert reason(json.dumps({"messages": []}), answer()) == "not_a_turn"


def test_a_role_that_no_trainer_knows_is_left_out() -> None:
    assert reason(body({"role": "critic", "content": "no"}), answer()) == "bad_role"


@pytest.mark.parametrize("text", ["{", "[]", '{"messages": {}}', '{"messages": [1]}', '"\\ud800"'])
def test_what_is_no_chat_body_is_unreadable(text: str) -> None:
    assert reason(text, answer()) == "unreadable"


@pytest.mark.parametrize("text", ["nope", "{}", '{"choices": []}', '{"choices": [{}]}'])
def test_what_is_no_chat_answer_is_unreadable(text: str) -> None:
    assert reason(body(), text) == "unreadable"


def test_a_text_that_clickhouse_no_longer_holds_is_told_apart() -> None:
    assert reason("", answer()) == "body_expired"
    assert reason(body(), "") == "body_expired"


def test_every_reason_has_words_for_people() -> None:
    assert all(str(UnusableExampleError(name)) for name in REASONS)
