from __future__ import annotations

from typing import Any

from streams.ingress.translators.anthropic.response import message
from streams.ingress.translators.anthropic.stream import MessagesEventStream

JSON = dict[str, Any]


def chunk(delta: JSON, finish_reason: str | None = None, **more: Any) -> JSON:
    return {"id": "c1", "model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason, **more}]}


def call(index: int, name: str = "", arguments: str = "") -> JSON:
    names = {"id": f"t{index}"} if name else {}
    return {"tool_calls": [{"index": index, **names, "function": {"name": name or None, "arguments": arguments}}]}


def told(*chunks: JSON) -> list[JSON]:
    writer = MessagesEventStream()
    return [event for one in chunks for event in writer.feed(one)] + writer.finish()


def blocks(events: list[JSON]) -> list[JSON]:
    """The content as Anthropic's clients put it together; every block must be begun, and ended once."""
    begun: dict[int, JSON] = {}
    ended: list[int] = []
    for event in events:
        if event["type"] == "content_block_start":
            assert event["index"] == len(begun), "blocks begin in the order of their indices"
            begun[event["index"]] = {**event["content_block"]}
        elif event["type"] == "content_block_delta":
            assert event["index"] not in ended
            kind, value = next((name, value) for name, value in event["delta"].items() if name != "type")
            block = begun[event["index"]]
            block[kind] = block.get(kind, "") + value
        elif event["type"] == "content_block_stop":
            ended.append(event["index"])
    assert sorted(ended) == sorted(begun)
    return list(begun.values())


def test_text_is_one_block_between_start_and_stop() -> None:
    events = told(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop")
    )

    assert blocks(events) == [{"type": "text", "text": "Hello"}]
    assert [events[0]["type"], events[-2]["type"], events[-1]["type"]] == [
        "message_start",
        "message_delta",
        "message_stop",
    ]
    assert events[-2]["delta"] == {"stop_reason": "end_turn", "stop_sequence": None}


def test_stream_has_the_id_of_the_whole_message() -> None:
    whole: JSON = {"id": "chatcmpl-7", "choices": [{"message": {"content": "ho"}, "finish_reason": "stop"}]}

    begun = told({**chunk({"content": "ho"}, "stop"), "id": "chatcmpl-7"})[0]["message"]

    assert begun["id"] == message(whole)["id"] == "msg_7"


def test_thinking_is_a_separate_block_with_its_signature() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}
    hidden = {"type": "redacted_thinking", "data": "Emw"}

    events = told(
        chunk({"role": "assistant", "reasoning_content": "Hm."}),
        chunk({"extra_content": {"anthropic": {"thinking_blocks": [thought]}}}),
        chunk({"extra_content": {"anthropic": {"thinking_blocks": [thought, hidden]}}}),
        chunk({"content": "Hello"}, "stop"),
    )

    assert blocks(events) == [thought, hidden, {"type": "text", "text": "Hello"}]


def test_redacted_thinking_has_its_signature() -> None:
    thought = {"type": "thinking", "thinking": "", "signature": "EqQB"}

    events = told(
        chunk({"role": "assistant", "extra_content": {"anthropic": {"thinking_blocks": [thought]}}}),
        chunk({"content": "Hello"}, "stop"),
    )

    assert blocks(events) == [thought, {"type": "text", "text": "Hello"}]


def test_interleaved_tool_calls_go_to_their_own_blocks() -> None:
    events = told(
        chunk({"role": "assistant", "content": "I look."}),
        chunk(call(0, "f")),
        chunk(call(0, arguments='{"a":')),
        chunk(call(1, "g", "{}")),
        chunk(call(0, arguments="1}"), "tool_calls"),
    )

    assert [(block["type"], block.get("partial_json")) for block in blocks(events)] == [
        ("text", None),
        ("tool_use", '{"a":1}'),
        ("tool_use", "{}"),
    ]
    assert events[-2]["delta"]["stop_reason"] == "tool_use"


def test_final_usage_covers_the_whole_stream() -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 3}

    events = told(chunk({"content": "ho"}, "stop"), {"id": "c1", "model": "m", "choices": [], "usage": usage})

    assert events[-2]["usage"]["input_tokens"] == 9
    assert events[-2]["usage"]["output_tokens"] == 3


def test_refusal_without_content_becomes_text_and_stop_reason() -> None:
    events = told(chunk({"role": "assistant", "content": ""}), chunk({"refusal": "No."}), chunk({}, "content_filter"))

    assert blocks(events) == [{"type": "text", "text": "No."}]
    assert events[-2]["delta"]["stop_details"]["explanation"] == "No."


def test_stream_keeps_the_native_stop_reason_of_anthropic() -> None:
    events = told(chunk({"content": "ho"}, "stop", native_finish_reason="pause_turn"))

    assert events[-2]["delta"]["stop_reason"] == "pause_turn"


def test_only_the_first_choice_is_streamed() -> None:
    other = {"id": "c1", "model": "m", "choices": [{"index": 1, "delta": {"content": "else"}, "finish_reason": "stop"}]}

    assert blocks(told(chunk({"content": "ho"}), other)) == [{"type": "text", "text": "ho"}]
