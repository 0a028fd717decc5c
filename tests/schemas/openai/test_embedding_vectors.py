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
    (read,) = struct.unpack("<f", struct.pack("<f", number))
    return float(read)


def answer(*vectors: object) -> dict[str, Any]:
    data = [{"object": "embedding", "index": index, "embedding": vector} for index, vector in enumerate(vectors)]
    return {"object": "list", "data": data, "model": "m", "usage": {"prompt_tokens": 3}}


@given(st.lists(st.lists(FLOAT32, max_size=8), max_size=4))
def test_numbers_survive_packing(vectors: list[list[float]]) -> None:
    kept = orjson.dumps(pack_vectors(answer(*vectors))).decode()

    found = orjson.loads(unpack_vectors(kept))

    assert [[as_float32(number) for number in row["embedding"]] for row in found["data"]] == vectors
    assert {**found, "data": []} == {**answer(), "data": []}


def test_numbers_come_back_in_the_fewest_digits() -> None:
    kept = orjson.dumps(pack_vectors(answer([0.1, -2.5]))).decode()

    assert b'"embedding":[0.1,-2.5]' in unpack_vectors(kept)


def test_a_packed_vector_is_what_openai_sends_for_base64() -> None:
    (item,) = pack_vectors(answer([1.0, 0.5]))["data"]

    assert base64.b64decode(item["embedding"]) == b"\x00\x00\x80\x3f\x00\x00\x00\x3f"


@pytest.mark.parametrize("vector", ["AAAA", [[1.0]], ["text"], [1e300], None, {"int8": [1]}])
def test_what_is_no_list_of_numbers_stays_what_it_is(vector: object) -> None:
    assert pack_vectors(answer(vector)) == answer(vector)


@pytest.mark.parametrize("body", [answer("no base64!"), answer("AAA="), answer([1]), {"data": None}, {}, []])
def test_what_is_not_packed_stays_what_it_is(body: object) -> None:
    assert orjson.loads(unpack_vectors(orjson.dumps(body).decode())) == body


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ('{"input": "x"}', True),
        ('{"input": "x", "encoding_format": "float"}', True),
        ('{"input": "x", "encoding_format": "base64"}', False),
        ('{"input": "say \\"base64\\""}', True),
        ('{"input": ["base64"]}', True),
    ],
)
def test_who_does_not_ask_for_base64_wants_numbers(question: str, *, expected: bool) -> None:
    assert wants_float_encoding(question) is expected
