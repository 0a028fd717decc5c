from __future__ import annotations

import openai
import pytest

from streams.config.api_keys import new_key
from tests.streams.ingress.gateway import running

PLAIN, HASH = new_key()
MODELS = {name: {"targets": ["sim/echo"]} for name in ("chat-fast", "chat-smart", "embed-small", "team/own")}
LIMITED = {
    "models": MODELS,
    "tenants": {"acme": {"models": ["chat-*", "team/*"]}},
    "keys": [{"id": "acme-1", "tenant": "acme", "hash": HASH, "models": ["*-fast", "embed-*", "team/own"]}],
}


async def test_open_gateway_lists_every_configured_model() -> None:
    async with running(models=MODELS) as gateway:
        listed = [model.id async for model in gateway.openai().models.list()]

        assert listed == list(MODELS)


async def test_model_list_has_models_allowed_by_key_and_tenant() -> None:
    async with running(**LIMITED) as gateway:
        listed = [model.id async for model in gateway.openai(PLAIN).models.list()]

        assert listed == ["chat-fast", "team/own"]


async def test_model_name_may_contain_a_slash() -> None:
    async with running(**LIMITED) as gateway:
        model = await gateway.openai(PLAIN).models.retrieve("team/own")

        assert (model.id, model.object) == ("team/own", "model")


@pytest.mark.parametrize("name", ["chat-smart", "embed-small", "nowhere"])
async def test_model_that_is_not_allowed_looks_like_an_unknown_model(name: str) -> None:
    async with running(**LIMITED) as gateway:
        with pytest.raises(openai.NotFoundError) as caught:
            await gateway.openai(PLAIN).models.retrieve(name)

        assert caught.value.code == "model_not_found"
