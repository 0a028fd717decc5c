from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.openai_compatible.response import ChoiceReader
from connectors.providers.openai_compatible.stream import ChunkStreamDecoder, read_stream_error
from connectors.providers.provider import ProviderError
from connectors.providers.wire.chunk_assembly import ChunkAssembler
from schemas.events.parts import Usage
from schemas.events.vocabulary import ErrorType
from schemas.json_types import JsonObject


def chunk(delta: Any, reason: str | None = None, index: int = 0, **more: Any) -> JsonObject:
    return {"id": "c1", "model": "m", "choices": [{"index": index, "delta": delta, "finish_reason": reason}], **more}


def read(*events: Any, done: bool = True) -> tuple[list[JsonObject], ChunkStreamDecoder]:
    reader = ChunkStreamDecoder(ChoiceReader)
    texts = [event if isinstance(event, str) else json.dumps(event) for event in events]
    lines = [f"data: {text}\n\n" for text in [*texts, *(["[DONE]"] if done else [])]]
    return [*reader.feed("".join(lines).encode()), *reader.finish()], reader


def test_usage_of_the_last_choice_is_sent_in_its_own_chunk() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

    chunks, reader = read(chunk({"content": "hi"}), chunk({}, "stop", usage=usage))

    assert [c.get("usage") for c in chunks] == [None, None, usage]
    assert chunks[-1]["choices"] == []
    assert reader.usage == Usage(input_tokens=3, output_tokens=2)


def test_separate_usage_is_sent_once() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

    chunks, _ = read(chunk({"content": "hi"}, "stop", usage=None), {"id": "c1", "choices": [], "usage": usage})

    assert [c.get("usage") for c in chunks] == [None, usage]


def test_stream_without_done_ends_with_all_finish_reasons() -> None:
    chunks, _ = read(
        chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"), chunk({}, "stop", 1), done=False
    )

    assert len(chunks) == 4


@pytest.mark.parametrize("done", [True, False])
def test_choice_without_finish_reason_is_a_truncated_stream(done: bool) -> None:
    with pytest.raises(ProviderError, match="broke off"):
        read(chunk({"content": "a"}), chunk({"content": "b"}, index=1), chunk({}, "stop"), done=done)


def test_stream_has_one_id() -> None:
    chunks, _ = read(chunk({"content": "a"}), chunk({}, "stop", id="other"), {"usage": {"prompt_tokens": 1}})

    assert {c["id"] for c in chunks} == {"c1"}


def test_missing_index_and_delta_are_added() -> None:
    call = {"id": "t1", "function": {"name": "f", "arguments": "{}"}}

    chunks, _ = read(chunk({"tool_calls": [call, {**call, "id": "t2"}]}), {"choices": [{"finish_reason": "stop"}]})

    assert [c["index"] for c in chunks[0]["choices"][0]["delta"]["tool_calls"]] == [0, 1]
    assert chunks[1]["choices"][0] == {
        "index": 0,
        "delta": {},
        "finish_reason": "tool_calls",
        "native_finish_reason": "stop",
    }


@pytest.mark.parametrize(
    "broken",
    [
        "{",
        "5",
        {"choices": 5},
        {"choices": [5]},
        chunk("text"),
        chunk({"tool_calls": 5}),
        chunk({"tool_calls": [{"function": 5}]}),
        chunk({"tool_calls": [{"index": "first"}]}),
        {"choices": [{"index": "first", "delta": {}}]},
    ],
)
def test_invalid_chunk_is_a_server_error(broken: Any) -> None:
    with pytest.raises(ProviderError) as caught:
        read(broken)

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "index",
                    "content",
                    "tool_calls",
                    "function",
                    "name",
                    "arguments",
                    "usage",
                    "error",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(st.lists(VALUES, max_size=4))
def test_any_stream_gives_chunks_or_provider_error(events: list[Any]) -> None:
    assembly = ChunkAssembler()
    try:
        chunks, _ = read(*(json.dumps(event) for event in events))
    except ProviderError:
        return

    for one in chunks:
        assembly.add(one)


def test_member_that_changes_its_type_is_assembled() -> None:
    assembly = ChunkAssembler()

    for one in read(chunk({"extra": {}}), chunk({"extra": "a"}), chunk({"extra": "b"}, "stop"))[0]:
        assembly.add(one)

    assert assembly.body["choices"][0]["message"]["extra"] == "ab"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ({"error": {"message": "m", "code": 429}}, "rate_limited"),
        ({"error": {"message": "m", "code": "503"}}, "capacity"),
        ({"error": {"message": "m", "type": "insufficient_quota"}}, "quota_exhausted"),
        ({"error": {"message": "m", "code": "context_length_exceeded"}}, "context_length"),
        ({"error": {"message": "m", "type": "invalid_request_error"}}, "invalid_request"),
        ({"error": "m", "error_type": "overloaded"}, "capacity"),
        ({"error": "m", "error_type": "validation"}, "invalid_request"),
        ({"error": "m", "error_type": "generation"}, "server"),
        ({"error": {"message": "m", "code": None}}, "server"),
        ({"error": {"message": "m", "code": True}}, "server"),
    ],
)
def test_stream_error_has_the_type_of_its_http_status(said: JsonObject, expected: ErrorType) -> None:
    error = read_stream_error(said)

    assert (error.error_type, error.http_status, error.message) == (expected, 200, "m")
