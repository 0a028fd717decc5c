from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.openai.embedding_vectors import pack_vectors, unpack_vectors, wants_float_encoding

FLOAT32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


def as_float32(number: float) -> float:
    (unpacked,) = struct.unpack("<f", struct.pack("<f", number))
    return float(unpacked)


def embeddings_response(*vectors: object) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 3}}


@given(st.lists(st.lists(FLOAT32, max_size=8), max_size=4))
def test_unpacked_vectors_equal_the_packed_ones(vectors: list[list[float]]) -> None:
    packed = orjson.dumps(pack_vectors(embeddings_response(*vectors))).decode()

    unpacked = orjson.loads(unpack_vectors(packed))

    assert [[as_float32(number) for number in row["embedding"]] for row in unpacked["data"]] == vectors
    assert {**unpacked, "data": []} == {**embeddings_response(), "data": []}


def test_unpacked_numbers_have_the_fewest_digits() -> None:
    packed = orjson.dumps(pack_vectors(embeddings_response([0.1, -2.5]))).decode()

    assert b'"embedding":[0.1,-2.5]' in unpack_vectors(packed)


def test_packed_vector_is_base64_of_little_endian_floats() -> None:
    (item,) = pack_vectors(embeddings_response([1.0, 0.5]))["data"]

    assert base64.b64decode(item["embedding"]) == b"\x00\x00\x80\x3f\x00\x00\x00\x3f"


@pytest.mark.parametrize("vector", ["AAAA", [[1.0]], ["text"], [1e300], None, {"int8": [1]}])
def test_pack_leaves_other_embeddings_unchanged(vector: object) -> None:
    assert pack_vectors(embeddings_response(vector)) == embeddings_response(vector)


@pytest.mark.parametrize(
    "body",
    [embeddings_response("no base64!"), embeddings_response("AAA="), embeddings_response([1]), {"data": None}, {}, []],
)
def test_unpack_leaves_other_bodies_unchanged(body: object) -> None:
    assert orjson.loads(unpack_vectors(orjson.dumps(body).decode())) == body


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ('{"input": "x"}', True),
        ('{"input": "x", "encoding_format": "float"}', True),
        ('{"input": "x", "encoding_format": "base64"}', False),
        ('{"input": "say \\"base64\\""}', True),
        ('{"input": ["base64"]}', True),
    ],
)
def test_float_encoding_is_wanted_unless_the_request_has_base64(request_body: str, *, expected: bool) -> None:
    assert wants_float_encoding(request_body) is expected
