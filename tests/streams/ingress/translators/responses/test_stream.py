from __future__ import annotations

from typing import Any

import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from connectors.providers.wire.chunk_assembly import ChunkAssembler
from streams.ingress.translators.responses.response import response
from streams.ingress.translators.responses.stream import ResponsesEventStream

JSON = dict[str, Any]

OFFICIAL: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
"""The events as the official client has them."""


def chunk(delta: JSON, finish_reason: str | None = None, **more: Any) -> JSON:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, **more}
    return {"id": "chatcmpl-7", "created": 5, "model": "m", "choices": [choice]}


def call(index: int, name: str = "", arguments: str = "") -> JSON:
    names = {"id": f"c{index}"} if name else {}
    return {"tool_calls": [{"index": index, **names, "function": {"name": name or None, "arguments": arguments}}]}


def told(*chunks: JSON) -> list[JSON]:
    """All events of a stream that ends well, each as the official client has it."""
    writer = ResponsesEventStream({})
    events = [event for one in chunks for event in writer.feed(one)] + writer.finish()
    for number, event in enumerate(events):
        OFFICIAL.validate_python({**event, "sequence_number": number})
    return events


def types(events: list[JSON]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def test_text_events_have_openais_documented_order() -> None:
    events = told(
        chunk({"role": "assistant", "content": ""}), chunk({"content": "Hel"}), chunk({"content": "lo"}, "stop")
    )

    assert types(events) == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    assert [event["delta"] for event in events if event["type"].endswith("delta")] == ["Hel", "lo"]
    assert events[6]["text"] == "Hello"


def test_last_event_holds_the_whole_response() -> None:
    chunks = [
        chunk({"role": "assistant", "reasoning_content": "Hm."}),
        chunk({"content": "I look."}),
        chunk(call(0, "f", '{"a":')),
        chunk(call(1, "g", "{}")),
        chunk(call(0, arguments="1}"), "tool_calls"),
        {"id": "chatcmpl-7", "model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 3}},
    ]
    whole = ChunkAssembler()
    for one in chunks:
        whole.add(one)

    events = told(*chunks)

    assert events[-1] == {"type": "response.completed", "response": response(whole.body, {})}
    done = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert done == events[-1]["response"]["output"]
    assert [item["type"] for item in done] == ["reasoning", "message", "function_call", "function_call"]


def test_interleaved_tool_calls_go_to_their_own_items() -> None:
    events = told(chunk(call(0, "f")), chunk(call(1, "g", "{}")), chunk(call(0, arguments="{}"), "tool_calls"))

    deltas = [event for event in events if event["type"] == "response.function_call_arguments.delta"]
    assert [(event["item_id"], event["output_index"]) for event in deltas] == [("fc_7_1", 1), ("fc_7_0", 0)]


def test_items_and_parts_keep_the_order_of_arrival() -> None:
    events = told(
        chunk(call(0, "f", "{}")), chunk({"refusal": "No."}), chunk({"content": "Or."}), chunk({}, "tool_calls")
    )

    call_item, message = events[-1]["response"]["output"]
    assert (call_item["type"], message["type"]) == ("function_call", "message")
    assert [part["type"] for part in message["content"]] == ["refusal", "output_text"]


def test_reasoning_without_text_has_its_signature() -> None:
    signed = {"anthropic": {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "EqQB"}]}}

    events = told(chunk({"extra_content": signed}), chunk({"content": "Hello"}, "stop"))

    assert events[-1]["response"]["output"][0]["extra_content"] == signed


@pytest.mark.parametrize(("reason", "why"), [("length", "max_output_tokens"), ("content_filter", "content_filter")])
def test_truncated_stream_ends_as_incomplete(reason: str, why: str) -> None:
    events = told(chunk({"content": "Hel"}, reason))

    assert events[-1]["type"] == "response.incomplete"
    assert events[-1]["response"]["incomplete_details"] == {"reason": why}


def test_failed_stream_keeps_its_items() -> None:
    writer = ResponsesEventStream({})
    writer.feed(chunk({"content": "Hel"}))

    (event,) = writer.fail({"error": {"code": "server", "message": "It broke off."}})

    OFFICIAL.validate_python({**event, "sequence_number": 9, "response": {**event["response"], "error": None}})
    assert event["type"] == "response.failed"
    assert event["response"]["status"] == "failed"
    assert event["response"]["error"] == {"code": "server", "message": "It broke off."}
    assert event["response"]["output"][0]["content"][0]["text"] == "Hel"


def test_only_the_first_choice_is_streamed() -> None:
    other = chunk({"content": "else"}, "stop")
    other["choices"][0]["index"] = 1

    events = told(chunk({"content": "ho"}, "stop"), other)

    assert events[-1]["response"]["output"][0]["content"][0]["text"] == "ho"
