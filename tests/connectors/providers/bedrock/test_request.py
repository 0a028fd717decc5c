from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given, settings

from connectors.providers.bedrock.request import write_chat
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.events.parts import Change
from schemas.json_types import JsonObject
from tests.connectors.providers.requests import chat_bodies

SONNET_4_5 = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
MODELS = [SONNET_4_5, "us.anthropic.claude-opus-5", "us.amazon.nova-2-lite-v1:0", "us.meta.llama3-3-70b-instruct-v1:0"]
HI: JsonObject = {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}


def translate(model: str = SONNET_4_5, **asked: Any) -> tuple[JsonObject, list[tuple[str, str]]]:
    body, changes = write_chat(ProviderCall("r1", "chat", model, {**HI, **asked}, 5.0))
    return body, [(change.param, change.action) for change in changes]


def attempted(model: str, body: JsonObject) -> tuple[JsonObject, list[Change]] | ProviderError:
    try:
        return write_chat(ProviderCall("r1", "chat", model, body, 5.0))
    except ProviderError as error:
        return error


@pytest.mark.parametrize("model", MODELS)
@given(body=chat_bodies())
@settings(max_examples=100, deadline=None)
def test_any_chat_is_translated_or_refused_for_every_family(model: str, body: JsonObject) -> None:
    outcome = attempted(model, body)

    if isinstance(outcome, ProviderError):
        assert outcome.error_type == "invalid_request"
        assert (outcome.param or "").partition("[")[0] in body
        return
    sent, changes = outcome
    assert orjson.dumps(sent)
    roles = [turn["role"] for turn in sent["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"] * (len(roles) % 2)
    assert all(turn["content"] for turn in sent["messages"])
    assert {change.param for change in changes} <= body.keys()


def test_empty_parts_are_not_sent() -> None:
    assert translate() == ({"messages": [{"role": "user", "content": [{"text": "hi"}]}]}, [])


def test_callers_model_fields_take_precedence() -> None:
    body, _ = translate(top_k=5, additionalModelRequestFields={"top_k": 7, "anthropic_beta": ["x"]})

    assert body["additionalModelRequestFields"] == {"top_k": 7, "anthropic_beta": ["x"]}


@pytest.mark.parametrize("fields", [5, "x", [1]])
def test_model_fields_must_be_an_object(fields: object) -> None:
    with pytest.raises(ProviderError) as caught:
        translate(additionalModelRequestFields=fields)

    assert caught.value.param == "additionalModelRequestFields"


def test_unsupported_effort_is_dropped_and_recorded() -> None:
    body, changes = translate(MODELS[3], reasoning_effort="high")

    assert set(body) == {"messages"}
    assert changes == [("reasoning_effort", "dropped")]


def test_labels_are_sent_all_or_none() -> None:
    assert translate(metadata={"team": "a"})[0]["requestMetadata"] == {"team": "a"}
    body, changes = translate(metadata={"team": "a", "who": "ä"})
    assert "requestMetadata" not in body
    assert changes == [("metadata", "dropped")]


def test_known_service_tier_is_sent() -> None:
    assert translate(service_tier="flex")[0]["serviceTier"] == {"type": "flex"}
    assert translate(service_tier="scale")[1] == [("service_tier", "dropped")]


def test_empty_stop_is_refused() -> None:
    with pytest.raises(ProviderError) as caught:
        translate(stop=["a", ""])

    assert caught.value.param == "stop"
