from __future__ import annotations

import pytest

from connectors.providers.gemini.embeddings import read_embeddings
from connectors.providers.provider import ProviderCall, ProviderError
from schemas.events.parts import Usage
from schemas.json_types import JsonObject


def a_call(body: JsonObject) -> ProviderCall:
    return ProviderCall("r1", "embeddings", "gemini-embedding-001", body, 5.0)


@pytest.mark.parametrize(
    "body", [{}, {"embeddings": []}, {"embeddings": [{"values": []}]}, {"embeddings": [{"values": ["a"]}]}, []]
)
def test_invalid_embeddings_are_a_server_error(body: object) -> None:
    with pytest.raises(ProviderError) as caught:
        read_embeddings(a_call({"input": "a"}), body)

    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)


def test_answer_without_token_count_has_no_native_usage() -> None:
    answer = read_embeddings(a_call({"input": "a"}), {"embeddings": [{"values": [1.0]}]})

    assert (answer.usage, answer.native_usage) == (Usage(), None)
