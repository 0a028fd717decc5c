from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.bedrock.embeddings import read_embeddings, write_embeddings
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.json_types import JsonObject

TITAN = "amazon.titan-embed-text-v2:0"
TITAN_1 = "amazon.titan-embed-text-v1"
COHERE = "cohere.embed-multilingual-v3"
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"


def a_call(model: str, text: object = "hi", **asked: Any) -> ProviderCall:
    return ProviderCall("r1", "embeddings", model, {"model": "alias", "input": text, **asked}, 5.0)


@pytest.mark.parametrize(
    ("model", "text", "asked", "param"),
    [
        (TITAN, ["a", "b"], {}, "input"),
        (NOVA, ["a", "b"], {}, "input"),
        (COHERE, [1, 2], {}, "input"),
        (TITAN, [[1, 2]], {}, "input"),
        (TITAN, "a", {"dimensions": 300}, "dimensions"),
        (TITAN_1, "a", {"dimensions": 256}, "dimensions"),
        (COHERE, "a", {"dimensions": 256}, "dimensions"),
        (TITAN, "a", {"nobody_knows": 1}, "nobody_knows"),
        ("eu.anthropic.claude-sonnet-4-5-20250929-v1:0", "a", {}, "model"),
    ],
)
def test_unsupported_input_is_refused_by_name(model: str, text: object, asked: JsonObject, param: str) -> None:
    with pytest.raises(ProviderError) as caught:
        write_embeddings(a_call(model, text, **asked), "search_document")

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", param)


def test_cohere_call_contains_many_texts() -> None:
    body, _ = write_embeddings(a_call(COHERE, ["a"] * 96), "clustering")

    assert len(body["texts"]) == 96
    assert body["input_type"] == "clustering"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"embedding": None},
        {"embedding": []},
        {"embedding": ["a"]},
        {"embedding": "abc"},
    ],
)
def test_status_200_without_vectors_is_a_server_error(body: object) -> None:
    with pytest.raises(ProviderError) as caught:
        read_embeddings(a_call(TITAN), body, {})

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)


@pytest.mark.parametrize("body", [{"embeddings": 5}, {"embeddings": [5]}, {"embeddings": {"float": [[1.0], [2.0]]}}])
@pytest.mark.parametrize("model", [COHERE, NOVA])
def test_wrong_number_of_vectors_is_a_server_error(model: str, body: object) -> None:
    with pytest.raises(ProviderError) as caught:
        read_embeddings(a_call(model), body, {})

    assert caught.value.error_type == "server"


@pytest.mark.parametrize("count", ["", "x", "-1", "1.5"])
def test_invalid_token_count_is_zero(count: str) -> None:
    answer = read_embeddings(a_call(TITAN), {"embedding": [1.0]}, {"x-amzn-bedrock-input-token-count": count})

    assert answer.usage.input_tokens == 0
