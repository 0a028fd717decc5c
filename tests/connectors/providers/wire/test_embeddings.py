from __future__ import annotations

import pytest

from connectors.providers.provider import ProviderCall, ProviderError
from connectors.providers.wire.embeddings import embeddings_body, text_inputs


def a_call(given: object) -> ProviderCall:
    return ProviderCall("r1", "embeddings", "m", {"input": given}, 5.0)


def test_text_inputs_are_a_list() -> None:
    assert text_inputs(a_call("a"), "p") == ["a"]
    assert text_inputs(a_call(["a", "b"]), "p") == ["a", "b"]


@pytest.mark.parametrize("given", [[1, 2], [[1], [2]], ["a", 1], None])
def test_token_ids_are_refused_by_name(given: object) -> None:
    with pytest.raises(ProviderError, match="p/m") as caught:
        text_inputs(a_call(given), "p")

    assert (caught.value.error_type, caught.value.param) == ("invalid_request", "input")


def test_embeddings_body_numbers_its_vectors() -> None:
    body = embeddings_body("m", [[0.5], [1.0]], 7)

    assert [(row["index"], row["embedding"]) for row in body["data"]] == [(0, [0.5]), (1, [1.0])]
    assert body["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
