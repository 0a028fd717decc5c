from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.bedrock.stream import ConverseStreamDecoder
from connectors.providers.provider import ProviderError
from schemas.json_types import JsonObject
from tests.connectors.providers.event_frames import event, exception, frame

START = event("messageStart", role="assistant")
STOP = event("messageStop", stopReason="end_turn")


def a_decoder(*, by_tool: bool = False) -> ConverseStreamDecoder:
    return ConverseStreamDecoder("r1", "m", 1, by_tool=by_tool)


def deltas(decoder: ConverseStreamDecoder, *frames: bytes) -> list[Any]:
    chunks = [chunk for data in frames for chunk in decoder.feed(data)]
    return [choice["delta"] for chunk in chunks for choice in chunk["choices"]]


def read_whole(decoder: ConverseStreamDecoder, data: bytes) -> list[JsonObject] | ProviderError:
    try:
        return decoder.feed(data) + decoder.finish()
    except ProviderError as error:
        return error


def tool_input(text: str) -> bytes:
    return event("contentBlockDelta", contentBlockIndex=0, delta={"toolUse": {"input": text}})


def test_answer_tool_is_streamed_as_content() -> None:
    decoder = a_decoder(by_tool=True)
    begun = event("contentBlockStart", contentBlockIndex=0, start={"toolUse": {"toolUseId": "1", "name": "answer"}})
    stopped = [event("contentBlockStop", contentBlockIndex=0), event("messageStop", stopReason="tool_use")]

    said = deltas(decoder, START, begun, tool_input('{"a'), tool_input('": 1}'), *stopped[:1])
    (end,) = decoder.feed(stopped[1])

    assert said[1:] == [{"content": '{"a'}, {"content": '": 1}'}]
    assert end["choices"][0]["finish_reason"] == "stop"
    assert decoder.finish_reasons == ["tool_use"]


def test_redacted_reasoning_is_kept_whole() -> None:
    parts = ["cmVk", "YWN0"]
    sent = [
        event("contentBlockDelta", contentBlockIndex=0, delta={"reasoningContent": {"redactedContent": part}})
        for part in parts
    ]

    said = deltas(a_decoder(), *sent, event("contentBlockStop", contentBlockIndex=0))

    assert said == [{"extra_content": {"bedrock": {"reasoning": [{"redactedContent": "cmVkYWN0"}]}}}]


def test_unknown_events_are_ignored() -> None:
    assert a_decoder().feed(event("contentBlockSung", contentBlockIndex=0)) == []


def test_stream_without_usage_is_complete() -> None:
    decoder = a_decoder()
    decoder.feed(START + STOP)

    assert decoder.finish() == []
    assert decoder.native_usage is None


@pytest.mark.parametrize("data", [b"", START])
def test_stream_without_message_stop_is_an_error(data: bytes) -> None:
    decoder = a_decoder()
    decoder.feed(data)

    with pytest.raises(ProviderError, match="broke off"):
        decoder.finish()


@pytest.mark.parametrize(
    "data",
    [
        frame({":message-type": "event", ":event-type": "messageStart"}, b"{broken"),
        frame({":message-type": "event", ":event-type": "messageStart"}, b"[]"),
        tool_input("{}"),
        frame({":message-type": "error", ":error-code": "InternalError", ":error-message": "It broke."}, b""),
        exception("modelStreamErrorException", "It broke."),
    ],
)
def test_invalid_event_is_a_server_error(data: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        a_decoder().feed(data)

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)


CONTENT = st.recursive(
    st.one_of(st.none(), st.integers(-1, 2), st.text(max_size=3)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(["toolUse", "input", "text", "reasoningContent", "signature", "redactedContent", "name"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=8,
)
EVENTS = st.builds(
    event,
    st.sampled_from(
        ["messageStart", "contentBlockStart", "contentBlockDelta", "contentBlockStop", "messageStop", "metadata"]
    ),
    contentBlockIndex=CONTENT,
    start=CONTENT,
    delta=CONTENT,
    stopReason=CONTENT,
    usage=CONTENT,
)


@given(events=st.lists(EVENTS, max_size=6), by_tool=st.booleans())
def test_any_events_are_chunks_or_provider_error(events: list[bytes], *, by_tool: bool) -> None:
    outcome = read_whole(a_decoder(by_tool=by_tool), b"".join(events))

    if isinstance(outcome, ProviderError):
        assert outcome.http_status == 200
    else:
        assert all(chunk["id"] == "r1" for chunk in outcome)
