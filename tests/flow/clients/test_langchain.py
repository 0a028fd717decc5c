"""Tests with LangChain's ChatOpenAI on the running gateway."""

from __future__ import annotations

import openai
import pydantic
import pytest
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from tests.fixtures.gateway import GatewayProcess

pytestmark = pytest.mark.flow

WORDS = "The water runs down to the gate."


class LangChainLevel(pydantic.BaseModel):
    """Water level at a gate."""

    gate: str
    meters: int


@tool
def look(city: str) -> str:
    """Look at the gauge of a city."""
    return f"2 meters{city}"


def model(gateway: GatewayProcess, name: str = "demo", *, responses: bool = False) -> ChatOpenAI:
    return ChatOpenAI(
        model=name,
        base_url=f"{gateway.http}/v1",
        api_key=pydantic.SecretStr("none-needed"),
        max_retries=0,
        use_responses_api=responses,
        stream_usage=True,
    )


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
async def test_chat_is_answered_and_streams(gateway: GatewayProcess, *, responses: bool) -> None:
    chat = model(gateway, responses=responses)

    whole = await chat.ainvoke(WORDS)
    pieces = [piece async for piece in chat.astream(WORDS)]

    assert whole.text == WORDS
    assert "".join(piece.text for piece in pieces) == WORDS
    assert whole.usage_metadata is not None
    assert whole.usage_metadata == next(piece.usage_metadata for piece in pieces if piece.usage_metadata)


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
def test_tool_call_and_result_make_a_round_trip(gateway: GatewayProcess, *, responses: bool) -> None:
    chat = model(gateway, responses=responses)
    question = HumanMessage(WORDS)

    called = chat.bind_tools([look], tool_choice="required").invoke([question])
    (call,) = called.tool_calls
    result = look.invoke(call)
    answer = chat.bind_tools([look]).invoke([question, called, result])

    assert (call["name"], call["args"]) == ("look", {"city": ""})
    assert isinstance(result, ToolMessage)
    assert answer.text == "2 meters"


@pytest.mark.parametrize("responses", [False, True], ids=["chat", "responses"])
@pytest.mark.parametrize("method", ["json_schema", "function_calling"])
def test_structured_output_is_parsed(gateway: GatewayProcess, method: str, *, responses: bool) -> None:
    chat = model(gateway, responses=responses).with_structured_output(LangChainLevel, method=method)  # type: ignore[arg-type]

    assert chat.invoke(WORDS) == LangChainLevel(gate="", meters=0)


def test_embeddings_are_in_order(gateway: GatewayProcess) -> None:
    embeddings = OpenAIEmbeddings(
        model="demo",
        openai_api_base=f"{gateway.http}/v1",
        openai_api_key=pydantic.SecretStr("none-needed"),
        check_embedding_ctx_length=False,
    )

    one, two = embeddings.embed_documents(["one", "two"])

    assert one == pytest.approx(embeddings.embed_query("one"))
    assert one != pytest.approx(two)


def test_error_keeps_its_type(gateway: GatewayProcess) -> None:
    with pytest.raises(openai.RateLimitError):
        model(gateway, "limited").invoke(WORDS)
