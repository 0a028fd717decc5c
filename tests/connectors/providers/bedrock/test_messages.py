from __future__ import annotations

import pytest

from connectors.providers.bedrock.messages import ConverseMessages
from connectors.providers.provider import ProviderError
from schemas.json_types import JsonObject

HI = {"role": "user", "content": "hi"}
CLAUDE = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
PDF = "data:application/pdf;base64,JVBERi0="


def translate(*messages: JsonObject) -> list[JsonObject]:
    return ConverseMessages([HI, *messages], CLAUDE).messages


def translation_error(*messages: JsonObject) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        ConverseMessages(messages, CLAUDE)
    assert caught.value.error_type == "invalid_request"
    return caught.value


def test_consecutive_messages_of_a_role_are_one_turn() -> None:
    assert translate({"role": "user", "content": "there"}) == [
        {"role": "user", "content": [{"text": "hi"}, {"text": "there"}]}
    ]


def test_tool_results_of_a_turn_are_one_message() -> None:
    calls = [CALL, {**CALL, "id": "call_2"}]
    results = [{"role": "tool", "tool_call_id": call["id"], "content": "ok"} for call in calls]

    turns = translate({"role": "assistant", "content": None, "tool_calls": calls}, *results)

    assert [turn["role"] for turn in turns] == ["user", "assistant", "user"]
    assert [part["toolResult"]["toolUseId"] for part in turns[2]["content"]] == ["call_1", "call_2"]
    assert turns[1]["content"][0] == {"toolUse": {"toolUseId": "call_1", "name": "f", "input": {"a": 1}}}


def test_invalid_id_is_replaced_deterministically() -> None:
    call = {**CALL, "id": "a/b"}
    conversation = ConverseMessages(
        [
            HI,
            {"role": "assistant", "content": "", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "a/b", "content": "ok"},
        ],
        CLAUDE,
    )

    made = conversation.messages[1]["content"][0]["toolUse"]["toolUseId"]
    assert made == conversation.messages[2]["content"][0]["toolResult"]["toolUseId"]
    assert made.isascii()
    assert "/" not in made
    assert [change.action for change in conversation.changes] == ["transformed"]


def test_later_system_message_is_moved_and_recorded() -> None:
    conversation = ConverseMessages(
        [HI, {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]}], CLAUDE
    )

    assert conversation.system == [{"text": "Be brief."}]
    assert [(change.param, change.action) for change in conversation.changes] == [("messages", "transformed")]


def test_document_is_sent_as_bytes_with_a_valid_name() -> None:
    part = {"type": "file", "file": {"file_data": PDF, "filename": "my  report_1.pdf"}}

    (turn,) = translate({"role": "user", "content": [part]})

    document = {"format": "pdf", "name": "my report 1 pdf", "source": {"bytes": "JVBERi0="}}
    assert turn["content"][1] == {"document": document}


def test_reasoning_precedes_text() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    extra = {"anthropic": {"thinking_blocks": [thought]}}

    turns = translate({"role": "assistant", "content": "Hello!", "extra_content": extra})

    sent = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}}
    assert turns[1]["content"] == [sent, {"text": "Hello!"}]


def test_failed_tool_result_is_marked() -> None:
    extra = {"anthropic": {"is_error": True}}
    failed = {"role": "tool", "tool_call_id": "call_1", "content": "no", "extra_content": extra}

    turns = translate({"role": "assistant", "content": None, "tool_calls": [CALL]}, failed)

    assert turns[2]["content"][0]["toolResult"]["status"] == "error"


def test_cache_point_follows_cache_control() -> None:
    long = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral", "ttl": "1h"}}
    system = {"role": "system", "content": [{**long, "cache_control": {"type": "ephemeral"}}]}

    conversation = ConverseMessages([system, {"role": "user", "content": [long]}], CLAUDE)

    assert conversation.system == [{"text": "long"}, {"cachePoint": {"type": "default"}}]
    assert conversation.messages[0]["content"] == [{"text": "long"}, {"cachePoint": {"type": "default", "ttl": "1h"}}]
    assert conversation.changes == []


def test_unsupported_cache_control_is_dropped_and_recorded() -> None:
    part = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}

    conversation = ConverseMessages([{"role": "user", "content": [part]}], "us.meta.llama3-3-70b-instruct-v1:0")

    assert conversation.messages[0]["content"] == [{"text": "long"}]
    assert [change.action for change in conversation.changes] == ["dropped"]


def test_cache_point_follows_a_tool_result() -> None:
    part = {"type": "text", "text": "42", "cache_control": {"type": "ephemeral"}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": [part], "cache_control": {"type": "ephemeral"}}

    turns = translate({"role": "assistant", "content": None, "tool_calls": [CALL]}, result)

    assert turns[2]["content"][0]["toolResult"]["content"] == [{"text": "42"}]
    assert turns[2]["content"][1] == {"cachePoint": {"type": "default"}}


@pytest.mark.parametrize("extra", [None, 5, {"anthropic": 5}, {"anthropic": {"thinking_blocks": "x"}}, {"bedrock": {}}])
def test_unsigned_reasoning_is_dropped_and_recorded(extra: object) -> None:
    message = {"role": "assistant", "content": "Hello!", "reasoning_content": "Hm.", "extra_content": extra}

    conversation = ConverseMessages([HI, message], CLAUDE)

    assert conversation.messages[1]["content"] == [{"text": "Hello!"}]
    assert [change.action for change in conversation.changes] == ["dropped"]


def test_blank_text_is_dropped_and_recorded() -> None:
    parts = [{"type": "text", "text": " \n"}, {"type": "text", "text": "hi"}]

    conversation = ConverseMessages([{"role": "user", "content": parts}], CLAUDE)

    assert conversation.messages[0]["content"] == [{"text": "hi"}]
    assert [change.action for change in conversation.changes] == ["dropped"]


def test_urls_are_refused() -> None:
    image = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/meta-data"}}

    error = translation_error({"role": "user", "content": [image]})

    assert error.param == "messages[0].content[0]"
    assert "169" not in error.message


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "user", "content": ""}, "messages[1].content"),
        ({"role": "assistant", "content": None}, "messages[1].content"),
        ({"role": "function", "name": "f", "content": "x"}, "messages[1]"),
        ({"role": "assistant", "function_call": {"name": "f", "arguments": "{}"}}, "messages[1]"),
        (
            {"role": "assistant", "tool_calls": [{**CALL, "function": {"name": "f", "arguments": "[1]"}}]},
            "messages[1].tool_calls",
        ),
        (
            {"role": "assistant", "tool_calls": [{"id": "1", "type": "custom", "custom": {"name": "f", "input": "x"}}]},
            "messages[1].tool_calls",
        ),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{"type": "image_url", "image_url": None}]}, "messages[1].content[0]"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/bmp;base64,Qk0="}}]},
            "messages[1].content[0]",
        ),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,?"}}]},
            "messages[1].content[0]",
        ),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f1"}}]}, "messages[1].content[0]"),
    ],
)
def test_unsupported_content_is_refused_by_name(message: JsonObject, param: str) -> None:
    assert translation_error(HI, message).param == param


def test_conversation_must_begin_with_the_user() -> None:
    assert translation_error({"role": "assistant", "content": "hi"}).param == "messages"
    assert translation_error({"role": "system", "content": "hi"}).param == "messages"
