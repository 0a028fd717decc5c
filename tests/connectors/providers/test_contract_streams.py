"""Contract of every provider's streams on its recordings: cut, truncated and garbled at any byte."""

from __future__ import annotations

import itertools
import random
from collections.abc import Sequence

import pytest

from connectors.providers.provider import ProviderError
from connectors.providers.wire.chunk_assembly import ChunkAssembler
from schemas.json_types import JsonObject
from tests.connectors.providers.recording import RECORDED, Recording, differences, offline_provider, recordings

STREAMS = [(kind, case) for kind, case in RECORDED if recordings(kind)[case].stream]
ENDING = [(kind, case) for kind, case in STREAMS if recordings(kind)[case].answer is not None]
FAILING = [(kind, case) for kind, case in STREAMS if recordings(kind)[case].error is not None]


def decode(kind: str, recording: Recording, pieces: Sequence[bytes]) -> tuple[list[JsonObject], bool]:
    """The chunks, and whether the stream was read to its end."""
    decoder, chunks = offline_provider(kind).stream_decoder(recording.call), list[JsonObject]()
    try:
        for piece in pieces:
            chunks += decoder.feed(piece)
        chunks += decoder.finish()
    except ProviderError:
        return chunks, False
    return chunks, True


def content(recording: Recording) -> bytes:
    assert recording.response is not None
    return recording.response.content


def cut(data: bytes, positions: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(positions), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def bytewise(data: bytes) -> list[bytes]:
    return [data[at : at + 1] for at in range(len(data))]


def timeless(chunks: list[JsonObject]) -> list[JsonObject]:
    """Without what may differ from one reading to the next; but one stream has one id."""
    assert len({chunk["id"] for chunk in chunks}) <= 1
    return [{name: value for name, value in chunk.items() if name not in {"id", "created"}} for chunk in chunks]


@pytest.mark.parametrize(("kind", "case"), ENDING, ids=map("-".join, ENDING))
def test_stream_result_does_not_depend_on_the_cuts(kind: str, case: str) -> None:
    recording, chance = recordings(kind)[case], random.Random(7)
    data = content(recording)
    cuts = [bytewise(data), *(cut(data, chance.choices(range(len(data)), k=5)) for _ in range(10))]

    whole, ended = decode(kind, recording, [data])
    readings = [decode(kind, recording, pieces) for pieces in cuts]

    assert ended
    assert all(end for _, end in readings)
    assert all(timeless(chunks) == timeless(whole) for chunks, _ in readings)


@pytest.mark.parametrize(("kind", "case"), FAILING, ids=map("-".join, FAILING))
def test_failing_stream_yields_the_chunks_before_the_error(kind: str, case: str) -> None:
    recording = recordings(kind)[case]
    data = content(recording)

    chunks, ended = decode(kind, recording, bytewise(data))
    _, ended_at_once = decode(kind, recording, [data])

    assert not ended
    assert not ended_at_once
    assert recording.chunks is None or differences(chunks, recording.chunks) == []


@pytest.mark.parametrize(("kind", "case"), ENDING, ids=map("-".join, ENDING))
def test_truncated_stream_is_an_error(kind: str, case: str) -> None:
    recording, chance = recordings(kind)[case], random.Random(5)
    data = content(recording)
    last = range(max(len(data) - 150, 0), len(data))  # at the end marker

    for end in {*last, *chance.choices(range(len(data)), k=100)}:
        chunks, ended = decode(kind, recording, [data[:end]])

        assembly = ChunkAssembler()
        for chunk in chunks:
            assembly.add(chunk)
        assert assembly.is_finished or not ended, f"broken off after {end} bytes"


@pytest.mark.parametrize(("kind", "case"), ENDING, ids=map("-".join, ENDING))
def test_garbled_stream_raises_only_provider_error(kind: str, case: str) -> None:
    recording, chance = recordings(kind)[case], random.Random(11)
    data = content(recording)

    for _ in range(200):
        garbled = bytearray(data)
        for at in chance.choices(range(len(data)), k=chance.randint(1, 4)):
            garbled[at] = chance.randrange(256)

        decode(kind, recording, cut(bytes(garbled), chance.choices(range(len(data)), k=3)))
