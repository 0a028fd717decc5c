from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http_client import Response
from connectors.providers.openai_compatible.response import ChoiceReader, read_answer, read_usage
from schemas.events.parts import Usage
from schemas.json_types import JsonObject

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["content", "reasoning", "reasoning_content", "tool_calls", "function", "arguments", "id"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def choice(message: JsonObject, reason: str = "stop") -> JsonObject:
    read = {"index": 0, "message": message, "finish_reason": reason}
    ChoiceReader().read(read, message)
    return read


def test_arguments_object_is_serialized() -> None:
    call = {"id": "c1", "function": {"name": "f", "arguments": {"city": "Paris"}}}

    read = choice({"content": None, "tool_calls": [call]})

    expected = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Paris"}'}}
    assert read["message"] == {"content": None, "tool_calls": [expected]}


def test_tool_call_finish_reason_is_set_and_the_native_one_kept() -> None:
    read = choice({"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}, "stop")

    assert (read["finish_reason"], read["native_finish_reason"]) == ("tool_calls", "stop")


def test_truncated_tool_call_keeps_its_finish_reason() -> None:
    read = choice({"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{"}}]}, "length")

    assert read["finish_reason"] == "length"


def test_reasoning_has_one_name() -> None:
    read = choice({"content": "Hello!", "reasoning": "They greet.", "reasoning_content": "They greet."})

    assert read["message"] == {"content": "Hello!", "reasoning_content": "They greet."}


@given(ANYTHING.filter(lambda value: isinstance(value, dict)), st.text(max_size=5) | st.none())
def test_choice_reader_reads_any_message(message: Any, reason: Any) -> None:
    choice(message, reason)


@pytest.mark.parametrize("kind", ["chat", "embeddings"])
@given(body=st.fixed_dictionaries({"choices": st.lists(ANYTHING), "data": st.lists(ANYTHING), "usage": ANYTHING}))
def test_read_answer_reads_any_answer(kind: Any, body: JsonObject) -> None:
    answer = read_answer(kind, body, Response(200, {}, b""), ChoiceReader)

    assert answer.body is body


def test_top_level_cached_tokens_are_counted() -> None:
    assert read_usage({"prompt_tokens": 9, "cached_tokens": 4}) == Usage(input_tokens=9, cache_read_input_tokens=4)
