"""Tests with OpenAI's official client on the running gateway: chat, embeddings and responses."""

from __future__ import annotations

import base64
import json
import struct

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from openai.types.responses import FunctionToolParam, ResponseInputParam

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

WORDS = "The water runs down to the gate."
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": WORDS}]
SCHEMA: dict[str, object] = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
GAUGE_TOOL: ChatCompletionToolParam = {"type": "function", "function": {"name": "look", "parameters": SCHEMA}}
RESPONSES_TOOL: FunctionToolParam = {"type": "function", "name": "look", "parameters": SCHEMA, "strict": True}


class ResponseLevel(pydantic.BaseModel):
    gate: str
    meters: int


@pytest.fixture
def client(gateway: GatewayProcess) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.http}/v1", api_key="none-needed", max_retries=0)


def test_chat_streams_and_counts(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="demo", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)

    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == WORDS
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0


def test_tool_makes_its_round_trip(client: openai.OpenAI) -> None:
    first = client.chat.completions.create(model="demo", messages=HELLO, tools=[GAUGE_TOOL], tool_choice="required")
    message = first.choices[0].message
    assert message.tool_calls is not None
    (call,) = message.tool_calls
    assert call.type == "function"
    calls: list[ChatCompletionMessageParam] = [
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.function.name, "arguments": call.function.arguments},
                }
            ],
        },
        {"role": "tool", "tool_call_id": call.id, "content": "2 meters"},
    ]

    second = client.chat.completions.create(model="demo", messages=[*HELLO, *calls], tools=[GAUGE_TOOL])

    assert json.loads(call.function.arguments) == {"city": ""}
    assert second.choices[0].message.content == "2 meters"


def test_structured_output_is_parsed(client: openai.OpenAI) -> None:
    completion = client.chat.completions.parse(model="demo", messages=HELLO, response_format=ResponseLevel)

    assert completion.choices[0].message.parsed == ResponseLevel(gate="", meters=0)


def test_embeddings_come_packed_as_the_client_asks_for_them(client: openai.OpenAI) -> None:
    plain = client.embeddings.create(model="demo", input=["one", "two"], encoding_format="float")
    packed = client.embeddings.create(model="demo", input=["one", "two"], encoding_format="base64")
    default = client.embeddings.create(model="demo", input=["one", "two"])

    for unpacked, expected in zip(default.data, plain.data, strict=True):
        assert unpacked.embedding == pytest.approx(expected.embedding)
    raw = base64.b64decode(str(packed.data[0].embedding))
    assert list(struct.unpack(f"<{len(raw) // 4}f", raw)) == pytest.approx(plain.data[0].embedding)


@pytest.mark.parametrize(
    ("model", "expected", "code"),
    [
        ("gpt-99", openai.NotFoundError, "model_not_found"),
        ("sim/fail-auth", openai.APIStatusError, "auth"),
        ("sim/fail-context_length", openai.BadRequestError, "context_length_exceeded"),
        ("limited", openai.RateLimitError, None),
    ],
)
def test_errors_have_their_types(
    client: openai.OpenAI, model: str, expected: type[openai.APIStatusError], code: str | None
) -> None:
    with pytest.raises(expected) as chat:
        client.chat.completions.create(model=model, messages=HELLO)
    with pytest.raises(expected) as response:
        client.responses.create(model=model, input=WORDS)

    assert chat.value.code == response.value.code
    assert code is None or chat.value.code == code


def test_response_is_complete_and_counted(client: openai.OpenAI) -> None:
    response = client.responses.create(model="demo", input=WORDS, instructions="Repeat.", metadata={"team": "water"})

    assert (response.status, response.output_text) == ("completed", WORDS)
    assert (response.instructions, response.metadata) == ("Repeat.", {"team": "water"})
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0


def test_response_is_incomplete_at_max_output_tokens(client: openai.OpenAI) -> None:
    response = client.responses.create(model="demo", input=WORDS, max_output_tokens=2)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


def test_response_streams_to_the_same_text(client: openai.OpenAI) -> None:
    with client.responses.stream(model="demo", input=WORDS) as stream:
        deltas = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()

    assert "".join(deltas) == final.output_text == WORDS
    assert final.usage is not None
    assert final.usage.output_tokens > 0


def test_broken_response_fails(client: openai.OpenAI) -> None:
    events = list(client.responses.create(model="sim/cut", input=WORDS, stream=True))

    assert events[-1].type == "response.failed"
    assert events[-1].response.error is not None
    assert [event.sequence_number for event in events] == list(range(len(events)))


def test_tool_makes_its_round_trip_through_responses(client: openai.OpenAI) -> None:
    first = client.responses.create(model="demo", input=WORDS, tools=[RESPONSES_TOOL], tool_choice="required")
    (call,) = first.output
    assert call.type == "function_call"
    given: ResponseInputParam = [
        {"role": "user", "content": WORDS},
        {"type": "function_call", "call_id": call.call_id, "name": call.name, "arguments": call.arguments},
        {"type": "function_call_output", "call_id": call.call_id, "output": "2 meters"},
    ]

    second = client.responses.create(model="demo", input=given, tools=[RESPONSES_TOOL])

    assert second.output_text == "2 meters"


def test_structured_response_is_parsed(client: openai.OpenAI) -> None:
    response = client.responses.parse(model="demo", input=WORDS, text_format=ResponseLevel)

    assert response.output_parsed == ResponseLevel(gate="", meters=0)


def test_parameter_that_needs_stored_state_is_refused_by_name(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="demo", input=WORDS, previous_response_id="resp_1")

    assert caught.value.param == "previous_response_id"
