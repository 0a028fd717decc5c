from __future__ import annotations

import pytest
from pydantic import ValidationError

from connectors.providers import make_provider, parse_settings
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject
from tests.connectors.wire_double import wire

MESSAGE = {"type": "message", "id": "m1", "content": [{"type": "text", "text": "ho"}], "stop_reason": "end_turn"}
BODY: JsonObject = {"model": "alias", "messages": [{"role": "user", "content": "hi"}]}


def test_only_anthropic_itself_requires_a_key() -> None:
    assert parse_settings({"kind": "anthropic", "base_url": "http://127.0.0.1:1"}).api_key is None
    with pytest.raises(ValidationError, match="api_key is required"):
        parse_settings({"kind": "anthropic"})


@pytest.mark.parametrize(
    "settings", [{"version": "latest"}, {"beta": ["two words"]}, {"beta": ["a,b"]}, {"max_tokens": 0}, {"region": "eu"}]
)
def test_malformed_settings_are_refused(settings: JsonObject) -> None:
    with pytest.raises(ValidationError):
        parse_settings({"kind": "anthropic", "base_url": "http://127.0.0.1:1", **settings})


async def test_version_betas_and_max_tokens_come_from_the_settings() -> None:
    async with wire() as double:
        double.answer(200, MESSAGE)
        settings = {"version": "2026-10-21", "beta": ["one-2026-01-01", "two-2026-01-01"], "max_tokens": 500}
        provider = make_provider(
            "a", parse_settings({"kind": "anthropic", "base_url": double.url, "api_key": "k1", **settings})
        )

        answer = await provider.complete(
            ProviderCall("r1", "chat", "claude-haiku-4-5", {**BODY, "temperature": 0.2}, 5.0)
        )

        await provider.close()
        _, headers, _ = double.requests[0]
        assert headers["anthropic-version"] == "2026-10-21"
        assert headers["anthropic-beta"] == "one-2026-01-01,two-2026-01-01"
        assert double.last_body["max_tokens"] == 500
        assert "temperature" not in double.last_body
        said = [(change.param, change.action) for change in answer.changes]
        assert said == [("max_tokens", "transformed"), ("messages", "transformed"), ("temperature", "dropped")]


async def test_embeddings_are_refused_before_sending() -> None:
    async with wire() as double:
        provider = make_provider("a", parse_settings({"kind": "anthropic", "base_url": double.url}))

        with pytest.raises(ProviderError) as caught:
            await provider.complete(ProviderCall("r1", "embeddings", "claude", {"input": "hi"}, 5.0))

        await provider.close()
        assert (caught.value.error_type, caught.value.param) == ("invalid_request", "model")
        assert double.requests == []


@pytest.mark.parametrize("stream", [False, True])
async def test_provider_error_records_the_sent_body(stream: bool) -> None:
    async with wire() as double:
        double.answer(400, {"type": "error", "error": {"type": "invalid_request_error", "message": "no"}})
        provider = make_provider("a", parse_settings({"kind": "anthropic", "base_url": double.url}))
        call = ProviderCall("r1", "chat", "claude-haiku-4-5", {**BODY, "seed": 1}, 5.0, stream=stream)

        with pytest.raises(ProviderError) as caught:
            _ = [item async for item in provider.stream(call)] if stream else await provider.complete(call)

        await provider.close()
        assert caught.value.sent == double.requests[0][2]
        assert ("seed", "dropped") in [(change.param, change.action) for change in caught.value.changes]
