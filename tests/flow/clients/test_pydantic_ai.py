"""Tests with pydantic-ai's agents on the running gateway."""

from __future__ import annotations

import pydantic
import pytest
from pydantic_ai import Agent, Embedder, ModelHTTPError, NativeOutput
from pydantic_ai.embeddings.openai import OpenAIEmbeddingModel
from pydantic_ai.models import Model
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

WORDS = "The water runs down to the gate."


class AgentLevel(pydantic.BaseModel):
    gate: str
    meters: int


def provider(gateway: GatewayProcess) -> OpenAIProvider:
    return OpenAIProvider(base_url=f"{gateway.http}/v1", api_key="none-needed")


@pytest.fixture(params=[OpenAIChatModel, OpenAIResponsesModel], ids=["chat", "responses"])
def model(gateway: GatewayProcess, request: pytest.FixtureRequest) -> Model:
    model: Model = request.param("demo", provider=provider(gateway))
    return model


async def test_agent_is_answered(model: Model) -> None:
    result = await Agent(model, instructions="Repeat.").run(WORDS)

    assert result.output == WORDS
    assert result.usage.output_tokens > 0


@pytest.mark.parametrize("kind", [OpenAIChatModel, OpenAIResponsesModel])
async def test_agent_streams(gateway: GatewayProcess, kind: type[OpenAIChatModel | OpenAIResponsesModel]) -> None:
    slow = kind("sim/echo?chunk_ms=40", provider=provider(gateway))

    async with Agent(slow).run_stream(WORDS) as result:
        pieces = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]

    assert "".join(pieces) == WORDS
    assert len(pieces) > 1


async def test_agent_calls_its_tool_and_returns_the_output_type(model: Model) -> None:
    agent = Agent(model, output_type=AgentLevel)
    cities: list[str] = []

    @agent.tool_plain
    def look(city: str) -> str:
        """Look at the gauge of a city."""
        cities.append(city)
        return "2 meters"

    result = await agent.run(WORDS)

    assert cities == [""]
    assert result.output == AgentLevel(gate="", meters=0)


async def test_native_structured_output_is_parsed(model: Model) -> None:
    result = await Agent(model, output_type=NativeOutput(AgentLevel)).run(WORDS)

    assert result.output == AgentLevel(gate="", meters=0)


async def test_embeddings_are_in_order(gateway: GatewayProcess) -> None:
    embedder = Embedder(OpenAIEmbeddingModel("demo", provider=provider(gateway)))

    both = await embedder.embed_documents(["one", "two"])
    one = await embedder.embed_query("one")

    assert both.embeddings[0] == pytest.approx(one.embeddings[0])
    assert both.embeddings[0] != pytest.approx(both.embeddings[1])


async def test_error_keeps_its_status(gateway: GatewayProcess) -> None:
    agent = Agent(OpenAIChatModel("gpt-99", provider=provider(gateway)))

    with pytest.raises(ModelHTTPError) as caught:
        await agent.run(WORDS)

    assert caught.value.status_code == 404
