from __future__ import annotations

from typing import Any

import pytest

from connectors.providers.huggingface.embeddings import pipeline_path, read_vectors
from connectors.providers.provider import ProviderCall, ProviderError


def a_call(model: str = "org/model", **body: Any) -> ProviderCall:
    return ProviderCall("r1", "embeddings", model, {"input": "hi", **body}, 5.0)


@pytest.mark.parametrize("model", ["../../v1/chat", "org/..", "a/b/c", "org/model?x=1", "org/mo del", ""])
def test_invalid_model_name_is_refused(model: str) -> None:
    with pytest.raises(ProviderError, match="model"):
        pipeline_path(a_call(model))


@pytest.mark.parametrize("body", [None, {}, "x", [1.0], [["a"]], [[[0.1]]], [None]])
def test_answer_without_vectors_is_a_server_error(body: object) -> None:
    with pytest.raises(ProviderError, match="not a list of vectors"):
        read_vectors(a_call(), body)
