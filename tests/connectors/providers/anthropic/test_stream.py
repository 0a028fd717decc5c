from __future__ import annotations

import json

import pytest

from connectors.providers.anthropic.stream import MessageStreamDecoder
from connectors.providers.provider import ProviderError
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

START = {"type": "message_start", "message": {"id": "m1", "model": "m", "usage": {"input_tokens": 9}}}
STOP = {"type": "message_stop"}


def sse(*events: object) -> bytes:
    return "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()


def read(*events: object) -> tuple[MessageStreamDecoder, list[JsonObject]]:
    reader = MessageStreamDecoder(7, by_tool=False)
    return reader, reader.feed(sse(*events)) + reader.finish()


def test_cumulative_counts_keep_omitted_values() -> None:
    reader, chunks = read(
        START,
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 3, "input_tokens": None}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        STOP,
    )

    assert reader.usage == Usage(input_tokens=9, output_tokens=5)
    assert reader.native_usage == {"input_tokens": 9, "output_tokens": 5}
    assert chunks[-1]["usage"]["total_tokens"] == 14


def test_truncated_stream_has_usage() -> None:
    reader = MessageStreamDecoder(7, by_tool=False)
    reader.feed(sse(START))

    with pytest.raises(ProviderError, match="broke off"):
        reader.finish()
    assert reader.usage.input_tokens == 9


def test_arguments_in_the_start_event_are_read() -> None:
    block = {"type": "tool_use", "id": "t1", "name": "f", "input": {"a": 1}}

    _, chunks = read(
        START,
        {"type": "content_block_start", "index": 0, "content_block": block},
        {"type": "content_block_stop", "index": 0},
        STOP,
    )

    pieces = [chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks if chunk["choices"]]
    assert [call[0]["function"]["arguments"] for call in pieces if call] == ["", '{"a":1}']


def test_events_after_the_stop_are_ignored() -> None:
    _, chunks = read(START, STOP, {"type": "error", "error": {"type": "api_error"}})

    assert chunks[-1]["choices"] == []


@pytest.mark.parametrize(
    ("event", "error_type"),
    [
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, "capacity"),
        ({"type": "error", "error": {"type": "rate_limit_error", "message": "x"}}, "rate_limited"),
        (
            {"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long"}},
            "context_length",
        ),
        ({"type": "error", "error": {"type": "something_new"}}, "server"),
        ({"type": "error", "error": {"type": ["x"]}}, "server"),
        ({"type": "error"}, "server"),
        ({"type": "content_block_delta", "index": 3, "delta": {}}, "server"),
        ([], "server"),
    ],
)
def test_stream_error_is_classified_with_status_200(event: object, error_type: str) -> None:
    with pytest.raises(ProviderError) as caught:
        read(START, event)

    assert (caught.value.error_type, caught.value.http_status) == (error_type, 200)
