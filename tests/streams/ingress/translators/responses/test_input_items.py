from __future__ import annotations

from typing import Any

import pytest

from streams.ingress.translators.errors import UntranslatableError
from streams.ingress.translators.responses.input_items import openai_messages

JSON = dict[str, Any]

CALL: JSON = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "look", "arguments": "{}"}
RESULT: JSON = {"type": "function_call_output", "call_id": "c1", "output": "rain"}


def test_text_input_is_a_user_message_after_the_instructions() -> None:
    messages = openai_messages("Be brief.", "hi")

    assert messages == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "hi"}]


def test_content_parts_are_translated() -> None:
    content = [
        {"type": "input_text", "text": "See:"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]

    (message,) = openai_messages(None, [{"role": "user", "content": content}])

    assert message["content"] == [
        {"type": "text", "text": "See:"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]


def test_tool_calls_and_text_of_a_turn_are_one_message() -> None:
    words = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]}

    before = openai_messages(None, [words, CALL, {**CALL, "call_id": "c2"}, RESULT])
    after = openai_messages(None, [CALL, {**CALL, "call_id": "c2"}, words, RESULT])

    assert before == after
    assert [message["role"] for message in before] == ["assistant", "tool"]
    assert [call["id"] for call in before[0]["tool_calls"]] == ["c1", "c2"]
    assert before[1] == {"role": "tool", "tool_call_id": "c1", "content": "rain"}


def test_tool_call_without_text_has_no_content() -> None:
    (message, _) = openai_messages(None, [CALL, RESULT])

    assert message == {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}],
    }


def test_reasoning_belongs_to_the_next_assistant_message() -> None:
    signed: JSON = {"anthropic": {"thinking_blocks": []}}
    thought = {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm."}]}

    given = [{**thought, "extra_content": signed}, CALL, RESULT, thought, {"role": "user", "content": "and?"}, CALL]
    messages = openai_messages(None, given)

    assert (messages[0]["reasoning_content"], messages[0]["extra_content"]) == ("Hm.", signed)
    assert all("reasoning_content" not in message for message in messages[1:])


@pytest.mark.parametrize(
    ("given", "param"),
    [
        (None, "input"),
        ([], "input"),
        (["hi"], "input[0]"),
        ([{"role": "robot", "content": "hi"}], "input[0].role"),
        ([{"role": "user", "content": None}], "input[0].content"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "file-1"}]}], "input[0].content[0]"),
        ([{"type": "item_reference", "id": "msg_1"}], "input[0]"),
        ([{"type": "web_search_call"}], "input[0].type"),
        ([{**CALL, "arguments": {}}], "input[0].arguments"),
        ([{**RESULT, "call_id": None}], "input[0].call_id"),
        ([{**RESULT, "output": [{"type": "input_image", "image_url": "data:,"}]}], "input[0].output"),
    ],
)
def test_unsupported_item_is_refused_by_its_path(given: object, param: str) -> None:
    with pytest.raises(UntranslatableError) as caught:
        openai_messages(None, given)

    assert caught.value.param == param
