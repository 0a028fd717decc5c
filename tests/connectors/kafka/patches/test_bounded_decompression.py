from __future__ import annotations

import tracemalloc

import pytest

from connectors.kafka.patches import bounded_decompression as decompression
from connectors.kafka.patches.bounded_decompression import OversizeBatchError, decompress
from tests.fixtures.raw_records import CODECS, Raw, batch

HEADER = 61
COMPRESSED = [codec for codec in CODECS if codec != "none"]


def payload(codec: str, size: int) -> memoryview:
    return memoryview(batch([Raw(bytes(size))], codec))[HEADER:]


@pytest.mark.parametrize("codec", COMPRESSED)
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_each_codec_gives_back_what_went_in(codec: str, size: int) -> None:
    records = decompress(CODECS[codec], payload(codec, size))

    assert records == batch([Raw(bytes(size))])[HEADER:]


@pytest.mark.parametrize("codec", COMPRESSED)
def test_what_would_be_too_large_is_noticed_at_the_limit(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = payload(codec, 20_000_000)
    monkeypatch.setattr(decompression, "LIMIT_BYTES", 100_000)
    tracemalloc.start()

    with pytest.raises(OversizeBatchError):
        decompress(CODECS[codec], bomb)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000 or codec == "snappy"  # which is no denser than 22 to one


@pytest.mark.parametrize("codec", COMPRESSED)
def test_what_is_not_of_this_codec_is_an_error(codec: str) -> None:
    with pytest.raises(Exception, match=r"."):
        decompress(CODECS[codec], memoryview(b"\xff" * 100))


def test_a_codec_that_kafka_does_not_have_is_an_error() -> None:
    with pytest.raises(ValueError, match="codec 5"):
        decompress(5, memoryview(b""))
