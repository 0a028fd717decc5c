from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from connectors.providers.huggingface_embeddings import path, read
from connectors.providers.provider import Call, ProviderError


def a_call(model: str = "org/model", **body: Any) -> Call:
    return Call("r1", "embeddings", model, {"input": "hi", **body}, 5.0)


@pytest.mark.parametrize("model", ["../../v1/chat", "org/..", "a/b/c", "org/model?x=1", "org/mo del", ""])
def test_what_is_no_models_name_gets_no_path(model: str) -> None:
    with pytest.raises(ProviderError, match="model"):
        path(a_call(model))


def test_base64_holds_single_precision_numbers() -> None:
    answer = read(a_call(encoding_format="base64"), [[0.5, -1.0]])

    assert struct.unpack("<2f", base64.b64decode(answer.body["data"][0]["embedding"])) == (0.5, -1.0)


@pytest.mark.parametrize("body", [None, {}, "x", [1.0], [["a"]], [[[0.1]]], [None]])
def test_what_is_no_list_of_vectors_is_the_servers_fault(body: object) -> None:
    with pytest.raises(ProviderError, match="no list of vectors"):
        read(a_call(), body)
