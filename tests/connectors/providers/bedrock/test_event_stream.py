from __future__ import annotations

import itertools
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.providers.bedrock.event_stream import MAX_HEADERS_BYTES, MAX_PAYLOAD_BYTES, Frame, FrameReader
from connectors.providers.provider import ProviderError
from tests.connectors.providers.event_frames import frame, raw_frame, text_header

FRAMES = st.lists(st.builds(Frame, st.dictionaries(st.text(max_size=9), st.text(max_size=9)), st.binary(max_size=40)))


def write_frames(frames: list[Frame]) -> bytes:
    return b"".join(frame(each.headers, each.payload) for each in frames)


def prelude(total: int, headers: int) -> bytes:
    lengths = struct.pack(">II", total, headers)
    return lengths + struct.pack(">I", zlib.crc32(lengths))


def read_whole(data: bytes) -> list[Frame] | ProviderError:
    reader = FrameReader()
    try:
        frames = list(reader.feed(data))
        reader.finish()
    except ProviderError as error:
        return error
    return frames


def failure(data: bytes) -> ProviderError:
    reader = FrameReader()
    with pytest.raises(ProviderError) as caught:
        list(reader.feed(data))
    assert (caught.value.error_type, caught.value.http_status) == ("server", 200)
    return caught.value


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 500)))
def test_frames_do_not_depend_on_the_cuts(frames: list[Frame], cuts: list[int]) -> None:
    data, reader, read = write_frames(frames), FrameReader(), list[Frame]()
    edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})

    for start, end in itertools.pairwise(edges):
        read += reader.feed(data[start:end])
    reader.finish()

    assert read == frames


@given(frames=FRAMES.filter(len), data=st.data())
def test_any_flipped_bit_is_detected(frames: list[Frame], data: st.DataObject) -> None:
    bits = bytearray(write_frames(frames))
    at = data.draw(st.integers(0, len(bits) * 8 - 1))
    bits[at // 8] ^= 1 << at % 8
    reader, read = FrameReader(), list[Frame]()

    with pytest.raises(ProviderError):
        read += reader.feed(bytes(bits))

    assert len(read) < len(frames)


@given(frames=FRAMES.filter(len), data=st.data())
def test_stream_that_ends_within_a_frame_is_an_error(frames: list[Frame], data: st.DataObject) -> None:
    whole = write_frames(frames)
    last = len(frame(frames[-1].headers, frames[-1].payload))
    reader = FrameReader()
    list(reader.feed(whole[: len(whole) - data.draw(st.integers(1, last - 1))]))

    with pytest.raises(ProviderError, match="broke off"):
        reader.finish()


@given(data=st.binary(max_size=200))
def test_any_bytes_raise_only_provider_error(data: bytes) -> None:
    outcome = read_whole(data)

    assert isinstance(outcome, list) or outcome.error_type == "server"


@given(headers=st.binary(max_size=60))
def test_any_header_bytes_raise_only_provider_error(headers: bytes) -> None:
    outcome = read_whole(raw_frame(headers, b""))

    assert isinstance(outcome, list) or "headers" in outcome.message


def test_headers_of_other_types_are_skipped() -> None:
    others = [
        b"\x01a\x00",
        b"\x01b\x01",
        b"\x01c\x02\xff",
        b"\x01d\x03" + bytes(2),
        b"\x01e\x04" + bytes(4),
        b"\x01f\x05" + bytes(8),
        b"\x01g\x06\x00\x03abc",
        b"\x01h\x08" + bytes(8),
        b"\x01i\x09" + bytes(16),
    ]

    (read,) = FrameReader().feed(raw_frame(b"".join(others) + text_header(":event-type", "metadata"), b"{}"))

    assert read == Frame({":event-type": "metadata"}, b"{}")


@pytest.mark.parametrize(
    ("total", "headers"),
    [
        (15, 0),
        (16, 1),
        (16 + MAX_HEADERS_BYTES + 1, MAX_HEADERS_BYTES + 1),
        (16 + MAX_PAYLOAD_BYTES + 1, 0),
        (2**32 - 1, 0),
        (0, 2**32 - 1),
    ],
)
def test_impossible_lengths_are_errors(total: int, headers: int) -> None:
    assert "impossible" in failure(prelude(total, headers)).message


def test_wrong_lengths_are_errors_before_the_frame_is_complete() -> None:
    assert "checksum" in failure(b"\x7f" + prelude(100, 10)[1:]).message
