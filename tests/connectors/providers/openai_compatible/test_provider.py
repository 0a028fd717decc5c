from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from connectors.providers import make_provider, parse_settings
from connectors.providers.openai_compatible.provider import OpenAICompatibleProvider
from connectors.providers.provider import ProviderCall
from schemas.json_types import JsonObject

CHAT: JsonObject = {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}


def a(kind: str, **settings: Any) -> OpenAICompatibleProvider:
    made = make_provider("p", parse_settings({"kind": kind, **settings}))
    assert isinstance(made, OpenAICompatibleProvider)
    return made


@pytest.mark.parametrize(
    ("kind", "address"),
    [
        ("vllm", "http://127.0.0.1:8000/v1"),
        ("ollama", "http://127.0.0.1:11434/v1"),
        ("llamacpp", "http://127.0.0.1:8080/v1"),
    ],
)
def test_self_hosted_kind_defaults_to_loopback_without_a_key(kind: str, address: str) -> None:
    assert parse_settings({"kind": kind}).base_url == address
    assert "authorization" not in a(kind)._client._headers


@pytest.mark.parametrize("kind", ["openai", "mistral", "huggingface", "azure"])
@pytest.mark.parametrize("key", [{}, {"api_key": ""}])
def test_hosted_kind_requires_a_key(kind: str, key: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="api_key"):
        parse_settings({"kind": kind, **({"resource": "mine"} if kind == "azure" else {}), **key})


def test_stream_requests_usage_and_other_calls_do_not_stream() -> None:
    body = {**CHAT, "stream": True, "stream_options": {"include_usage": False}}

    streamed = a("vllm").to_request(ProviderCall("r1", "chat", "m", body, 5.0, stream=True))
    whole = a("vllm").to_request(ProviderCall("r1", "chat", "m", body, 5.0))

    assert streamed.body == {**CHAT, "model": "m", "stream": True, "stream_options": {"include_usage": True}}
    assert whole.body == {**CHAT, "model": "m"}


def test_only_openai_gets_messages_without_other_providers_members() -> None:
    body = {**CHAT, "messages": [{"role": "assistant", "content": "a", "reasoning_content": "b"}]}

    at_openai = a("openai", api_key="k").to_request(ProviderCall("r1", "chat", "gpt-4o", body, 5.0))
    elsewhere = a("openai", base_url="http://localhost:1/v1").to_request(ProviderCall("r1", "chat", "m", body, 5.0))

    assert at_openai.body["messages"] == [{"role": "assistant", "content": "a"}]
    assert [change.param for change in at_openai.changes] == ["messages"]
    assert elsewhere.body["messages"] == body["messages"]
