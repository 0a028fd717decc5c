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


def test_arguments_that_are_an_object_become_text() -> None:
    call = {"id": "c1", "function": {"name": "f", "arguments": {"city": "Paris"}}}

    read = choice({"content": None, "tool_calls": [call]})

    expected = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"city":"Paris"}'}}
    assert read["message"] == {"content": None, "tool_calls": [expected]}


def test_who_calls_a_tool_ends_for_that_reason_and_the_servers_own_word_is_kept() -> None:
    read = choice({"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]}, "stop")

    assert (read["finish_reason"], read["native_finish_reason"]) == ("tool_calls", "stop")


def test_a_tool_call_that_was_cut_short_is_not_said_to_be_whole() -> None:
    read = choice({"tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{"}}]}, "length")

    assert read["finish_reason"] == "length"


def test_reasoning_by_either_name_is_told_once() -> None:
    read = choice({"content": "Hello!", "reasoning": "They greet.", "reasoning_content": "They greet."})

    assert read["message"] == {"content": "Hello!", "reasoning_content": "They greet."}


@given(ANYTHING.filter(lambda value: isinstance(value, dict)), st.text(max_size=5) | st.none())
def test_no_message_can_break_the_reading_of_it(message: Any, reason: Any) -> None:
    choice(message, reason)


@pytest.mark.parametrize("kind", ["chat", "embeddings"])
@given(body=st.fixed_dictionaries({"choices": st.lists(ANYTHING), "data": st.lists(ANYTHING), "usage": ANYTHING}))
def test_no_answer_can_break_it_either(kind: Any, body: JsonObject) -> None:
    answer = read_answer(kind, body, Response(200, {}, b""), ChoiceReader)

    assert answer.body is body


def test_cached_tokens_are_counted_where_some_servers_put_them() -> None:
    assert read_usage({"prompt_tokens": 9, "cached_tokens": 4}) == Usage(input_tokens=9, cache_read_input_tokens=4)
