from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.providers import make_provider, parse_settings
from connectors.providers.cohere.provider import Cohere
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.events.vocabulary import Operation
from schemas.json_types import JsonObject

HI: JsonObject = {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
def cohere() -> Cohere:
    made = make_provider("p", parse_settings({"kind": "cohere", "api_key": "k"}))
    assert isinstance(made, Cohere)
    return made


def a_call(operation: Operation = "chat", model: str = "command-a-03-2025", **body: Any) -> ProviderCall:
    return ProviderCall("r1", operation, model, {**HI, **body}, timeout_s=5.0)


def test_key_is_required() -> None:
    with pytest.raises(ValidationError, match="api_key"):
        parse_settings({"kind": "cohere"})


@pytest.mark.parametrize(
    "said", [{"n": 1}, {"logit_bias": {}}, {"parallel_tool_calls": True}, {"modalities": ["text"]}, {"tools": []}]
)
def test_default_value_is_neither_sent_nor_recorded(cohere: Cohere, said: JsonObject) -> None:
    outgoing = cohere.to_request(a_call(**said))

    assert outgoing.body == {"model": "command-a-03-2025", "messages": HI["messages"]}
    assert list(outgoing.changes) == []


@pytest.mark.parametrize(
    ("param", "said"),
    [
        ("n", {"n": 2}),
        ("logit_bias", {"logit_bias": {"5": 1}}),
        ("parallel_tool_calls", {"parallel_tool_calls": False}),
        ("top_p", {"top_p": 1.0}),
        ("frequency_penalty", {"frequency_penalty": 1.5}),
        ("tools", {"tools": [{"type": "custom", "custom": {"name": "shell"}}]}),
        ("tool_choice", {"tools": [], "tool_choice": {"type": "function", "function": {"name": "f"}}}),
        ("response_format", {"response_format": {"type": "json_schema"}}),
        ("response_format", {"response_format": {"type": "grammar"}}),
        ("messages[0].role", {"messages": [{"role": "function", "name": "f", "content": "1"}]}),
        ("messages[0].audio", {"messages": [{"role": "assistant", "content": "x", "audio": {"id": "a"}}]}),
    ],
)
def test_unsupported_parameter_is_refused_by_name(cohere: Cohere, param: str, said: JsonObject) -> None:
    with pytest.raises(ProviderError) as caught:
        cohere.to_request(a_call(**said))

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", param)


def test_input_type_and_truncate_of_the_caller_are_sent(cohere: Cohere) -> None:
    outgoing = cohere.to_request(
        a_call("embeddings", "embed-v4.0", input="hi", input_type="search_query", truncate="END")
    )

    assert (outgoing.body["input_type"], outgoing.body["truncate"]) == ("search_query", "END")


def test_events_after_the_end_are_ignored(cohere: Cohere) -> None:
    decoder = cohere.stream_decoder(a_call())
    end = b'data: {"type":"message-end","delta":{"finish_reason":"COMPLETE"}}\n\n'

    chunks = list(decoder.feed(end + end))

    assert len(chunks) == 2
    assert decoder.finish_reasons == ["COMPLETE"]


def test_tool_call_part_without_start_is_a_server_error(cohere: Cohere) -> None:
    decoder = cohere.stream_decoder(a_call())
    delta = b'data: {"type":"tool-call-delta","delta":{"message":{"tool_calls":{"function":{"arguments":"{"}}}}}\n\n'

    with pytest.raises(ProviderError) as caught:
        list(decoder.feed(delta))

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)
