"""Tests with Anthropic's official client on the running gateway and the simulated provider."""

from __future__ import annotations

import anthropic
import pytest
from anthropic.types import MessageParam, ToolParam

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

WORDS = "The water runs down to the gate."
HELLO: list[MessageParam] = [{"role": "user", "content": WORDS}]
GAUGE_TOOL: ToolParam = {
    "name": "look",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


@pytest.fixture
def client(gateway: GatewayProcess) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=gateway.http, api_key="none-needed", max_retries=0)


def text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def test_message_is_answered_counted_and_recorded(gateway: GatewayProcess, client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="demo", max_tokens=100, system="Repeat.", messages=HELLO)

    assert (text(message), message.stop_reason) == (WORDS, "end_turn")
    assert message.usage.input_tokens > 0
    (row,) = gateway.until_rows(f"SELECT outcome, input FROM requests WHERE request_id = '{message._request_id}'")
    assert row["outcome"] == "answered"
    assert WORDS in row["input"]


def test_message_stops_at_max_tokens(client: anthropic.Anthropic) -> None:
    message = client.messages.create(model="demo", max_tokens=2, messages=HELLO)

    assert message.stop_reason == "max_tokens"


def test_message_streams_with_usage(client: anthropic.Anthropic) -> None:
    with client.messages.stream(model="demo", max_tokens=100, messages=HELLO) as stream:
        words = list(stream.text_stream)
        final = stream.get_final_message()

    assert "".join(words) == text(final) == WORDS
    assert final.stop_reason == "end_turn"
    assert final.usage.output_tokens > 0


def test_broken_stream_is_an_error(client: anthropic.Anthropic) -> None:
    with (
        pytest.raises(anthropic.APIStatusError),
        client.messages.stream(model="sim/cut", max_tokens=100, messages=HELLO) as stream,
    ):
        stream.until_done()


@pytest.mark.parametrize("streamed", [False, True])
def test_tool_call_and_result_make_a_round_trip(client: anthropic.Anthropic, *, streamed: bool) -> None:
    if streamed:
        with client.messages.stream(
            model="demo", max_tokens=100, messages=HELLO, tools=[GAUGE_TOOL], tool_choice={"type": "any"}
        ) as stream:
            first: anthropic.types.Message = stream.get_final_message()
    else:
        first = client.messages.create(
            model="demo", max_tokens=100, messages=HELLO, tools=[GAUGE_TOOL], tool_choice={"type": "any"}
        )
    (call,) = first.content
    assert call.type == "tool_use"
    tool_turn: list[MessageParam] = [
        {"role": "assistant", "content": [{"type": "tool_use", "id": call.id, "name": call.name, "input": call.input}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "2 meters"}]},
    ]

    second = client.messages.create(model="demo", max_tokens=100, messages=[*HELLO, *tool_turn], tools=[GAUGE_TOOL])

    assert (first.stop_reason, call.input) == ("tool_use", {"city": ""})
    assert text(second) == "2 meters"


@pytest.mark.parametrize(
    ("model", "expected", "kind"),
    [
        ("gpt-99", anthropic.NotFoundError, "not_found_error"),
        ("sim/fail-context_length", anthropic.BadRequestError, "invalid_request_error"),
        ("limited", anthropic.RateLimitError, "rate_limit_error"),
        ("broken", anthropic.InternalServerError, "api_error"),
    ],
)
def test_error_has_its_type(
    client: anthropic.Anthropic, model: str, expected: type[anthropic.APIStatusError], kind: str
) -> None:
    with pytest.raises(expected) as caught:
        client.messages.create(model=model, max_tokens=100, messages=HELLO)

    assert caught.value.type == kind
    assert caught.value.request_id
