from __future__ import annotations

import pytest

from connectors.providers.anthropic.messages import tool_id, write_messages
from connectors.providers.provider import ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject

HI: JsonObject = {"role": "user", "content": "hi"}
CACHED = {"type": "ephemeral"}


def translate(*messages: JsonObject) -> tuple[JsonObject, list[str]]:
    changes: list[Change] = []
    return write_messages(messages, changes), [change.detail for change in changes[1:]]


def calling(arguments: str) -> JsonObject:
    call = {"id": "t1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    return {"role": "assistant", "content": None, "tool_calls": [call]}


def test_instructions_are_moved_to_system_and_recorded() -> None:
    wire, changes = translate({"role": "system", "content": "One."}, HI, {"role": "developer", "content": "Two."})

    assert wire["system"] == [{"type": "text", "text": "One."}, {"type": "text", "text": "Two."}]
    assert changes == ["later instructions moved to system"]


def test_blank_texts_are_dropped() -> None:
    wire, _ = translate({"role": "user", "content": [{"type": "text", "text": " "}, {"type": "text", "text": "hi"}]})

    assert wire["messages"][0]["content"] == [{"type": "text", "text": "hi"}]


def test_cache_control_of_a_message_is_on_its_last_block() -> None:
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]

    wire, _ = translate({"role": "user", "content": parts, "cache_control": CACHED})

    assert [block.get("cache_control") for block in wire["messages"][0]["content"]] == [None, CACHED]


def test_failed_tool_result_is_marked() -> None:
    extra = {"anthropic": {"is_error": True}}

    wire, _ = translate(
        HI, calling("{}"), {"role": "tool", "tool_call_id": "t1", "content": "no", "extra_content": extra}
    )

    assert wire["messages"][-1]["content"][0]["is_error"] is True


def test_names_and_unsigned_reasoning_are_dropped_and_recorded() -> None:
    _, changes = translate({**HI, "name": "ann"}, {"role": "assistant", "content": "ho", "reasoning_content": "Hm."})

    assert changes == ["names of participants", "reasoning without Anthropic's signature"]


@pytest.mark.parametrize("extra", [None, "x", {"anthropic": []}, {"anthropic": {"thinking_blocks": ["x", {}]}}])
def test_other_extra_content_is_ignored(extra: object) -> None:
    wire, _ = translate(HI, {"role": "assistant", "content": "ho", "extra_content": extra})

    assert wire["messages"][1]["content"] == [{"type": "text", "text": "ho"}]


def test_foreign_id_is_replaced_deterministically() -> None:
    assert tool_id("call_1-a") == "call_1-a"
    assert tool_id("tool.use/1") == tool_id("tool.use/1") != tool_id("tool.use/2")


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"role": "function", "name": "f", "content": "x"}, "messages[1]"),
        ({"role": "user", "content": ""}, "messages[1]"),
        ({"role": "assistant", "content": None}, "messages[1]"),
        ({"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}, "messages[1]"),
        (calling("[1]"), "messages[1]"),
        (calling('{"broken'), "messages[1]"),
        ({"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}, "messages[1].content[0]"),
        ({"role": "user", "content": [{"type": "file", "file": {"file_id": "f1"}}]}, "messages[1].content[0]"),
        (
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://example.org/a.png"}}]},
            "messages[1].content[0]",
        ),
    ],
)
def test_unsupported_message_is_refused_by_index(message: JsonObject, param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(HI, message)

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", param)


def test_instructions_alone_are_refused() -> None:
    with pytest.raises(ProviderError) as caught:
        translate({"role": "system", "content": "One."})

    assert caught.value.param == "messages"
