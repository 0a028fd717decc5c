from __future__ import annotations

import json
import math
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from connectors.providers.provider import ProviderError
from connectors.providers.simulated.answers import chat_answer, embeddings_answer, smallest_value
from schemas.json_types import JsonObject

SCHEMA = {
    "type": "object",
    "required": ["city", "unit", "days", "exact"],
    "properties": {
        "city": {"type": "string"},
        "unit": {"enum": ["C", "F"]},
        "days": {"type": "integer", "minimum": 1},
        "exact": {"anyOf": [{"type": "boolean"}, {"type": "null"}]},
        "note": {"type": "string"},
    },
}
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]


def answer(*, echo: bool = False, **body: Any) -> ChatCompletion:
    messages = [{"role": "user", "content": [{"type": "text", "text": "How is the weather?"}]}]
    made = chat_answer({"messages": messages, **body}, "m", "00ff", 8, echo=echo)
    return ChatCompletion.model_validate(made.body, strict=True)


def test_reply_has_the_configured_number_of_words() -> None:
    completion = answer()

    assert len((completion.choices[0].message.content or "").split()) == 8
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("limit", [{"max_tokens": 2}, {"max_completion_tokens": 2}])
def test_reply_is_cut_at_max_tokens_with_reason_length(limit: JsonObject) -> None:
    completion = answer(**limit)

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 2


def test_n_choices_are_returned_and_counted() -> None:
    completion = answer(n=3, echo=True)

    assert [choice.index for choice in completion.choices] == [0, 1, 2]
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 3 * 5


@pytest.mark.parametrize("choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_required_tool_is_called_with_minimal_arguments(choice: object) -> None:
    completion = answer(tools=TOOLS, tool_choice=choice)

    message = completion.choices[0].message
    assert completion.choices[0].finish_reason == "tool_calls"
    assert message.content is None
    assert message.tool_calls is not None
    call = message.tool_calls[0]
    assert call.type == "function"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == {"city": "", "unit": "C", "days": 1, "exact": False}


def test_required_tools_are_called_in_turn() -> None:
    tools = [*TOOLS, {"type": "function", "function": {"name": "done"}}]
    asked = [{"role": "user", "content": "How is the weather?"}]

    first = answer(tools=tools, tool_choice="required", messages=asked).choices[0].message
    told = [*asked, first.model_dump(exclude_none=True), {"role": "tool", "tool_call_id": "c", "content": "rain"}]
    second = answer(tools=tools, tool_choice="required", messages=told).choices[0].message

    calls = [*(first.tool_calls or ()), *(second.tool_calls or ())]
    assert [call.function.name for call in calls if call.type == "function"] == ["weather", "done"]


def test_echo_repeats_a_tool_result() -> None:
    messages = [{"role": "user", "content": "Look."}, {"role": "tool", "tool_call_id": "c", "content": "rain"}]

    assert answer(echo=True, messages=messages).choices[0].message.content == "rain"


@pytest.mark.parametrize("choice", [None, "auto", "none"])
def test_optional_tools_are_not_called(choice: str | None) -> None:
    assert answer(tools=TOOLS, tool_choice=choice).choices[0].finish_reason == "stop"


def test_structured_output_matches_its_schema() -> None:
    completion = answer(response_format={"type": "json_schema", "json_schema": {"name": "w", "schema": SCHEMA}})

    assert set(json.loads(completion.choices[0].message.content or "")) == {"city", "unit", "days", "exact"}


def test_json_mode_returns_json() -> None:
    assert answer(response_format={"type": "json_object"}).choices[0].message.content == "{}"


@pytest.mark.parametrize("odd", [{}, {"messages": []}, {"messages": [None, {"role": "user"}, {"content": 5}]}])
def test_unusual_messages_are_answered(odd: JsonObject) -> None:
    assert chat_answer(odd, "m", "00", 4, echo=True).body["choices"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"const": 7}, 7),
        ({"type": ["string", "null"]}, ""),
        ({"type": "array"}, []),
        ({"type": "number"}, 0),
        ({"oneOf": [{"type": "integer"}]}, 0),
        ({}, {}),
        (True, {}),
    ],
)
def test_smallest_value_of_a_schema(schema: object, value: object) -> None:
    assert smallest_value(schema) == value


def test_embeddings_are_deterministic_unit_vectors() -> None:
    made = embeddings_answer({"input": ["a", "b", "a"]}, "m", 8)

    vectors = [item.embedding for item in CreateEmbeddingResponse.model_validate(made.body, strict=True).data]
    assert vectors[0] == vectors[2] != vectors[1]
    assert all(math.isclose(math.hypot(*vector), 1, rel_tol=1e-6) for vector in vectors)


@pytest.mark.parametrize(
    ("given", "vectors", "tokens"),
    [("four", 1, 1), (["four", "fourfour"], 2, 3), ([1, 2, 3], 1, 3), ([[1, 2], [3]], 2, 3), ([], 0, 0)],
)
def test_all_four_input_forms_are_counted(given: object, vectors: int, tokens: int) -> None:
    made = embeddings_answer({"input": given}, "m", 8)

    assert len(made.body["data"]) == vectors
    assert made.usage.input_tokens == tokens


def test_too_many_dimensions_are_refused() -> None:
    with pytest.raises(ProviderError, match="at most 8192") as refused:
        embeddings_answer({"input": "a", "dimensions": 2_036_496_312}, "echo", 8)

    assert (refused.value.error_type, refused.value.param) == ("invalid_request", "dimensions")
