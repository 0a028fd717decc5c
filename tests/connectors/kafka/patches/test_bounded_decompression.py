from __future__ import annotations

import tracemalloc

import pytest

from connectors.kafka.patches import bounded_decompression
from connectors.kafka.patches.bounded_decompression import OversizeBatchError, decompress
from tests.fixtures.raw_records import CODECS, Raw, batch

HEADER = 61
COMPRESSED = [codec for codec in CODECS if codec != "none"]


def payload(codec: str, size: int) -> memoryview:
    return memoryview(batch([Raw(bytes(size))], codec))[HEADER:]


@pytest.mark.parametrize("codec", COMPRESSED)
@pytest.mark.parametrize("size", [100, 3_000_000])
def test_each_codec_decompresses_to_the_original(codec: str, size: int) -> None:
    records = decompress(CODECS[codec], payload(codec, size))

    assert records == batch([Raw(bytes(size))])[HEADER:]


@pytest.mark.parametrize("codec", COMPRESSED)
def test_decompression_stops_at_the_limit(codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = payload(codec, 20_000_000)
    monkeypatch.setattr(bounded_decompression, "LIMIT_BYTES", 100_000)
    tracemalloc.start()

    with pytest.raises(OversizeBatchError):
        decompress(CODECS[codec], bomb)

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3_000_000 or codec == "snappy"  # its expansion is at most 22 to one


@pytest.mark.parametrize("codec", COMPRESSED)
def test_payload_of_no_codec_raises(codec: str) -> None:
    with pytest.raises(Exception, match=r"."):
        decompress(CODECS[codec], memoryview(b"\xff" * 100))


def test_unknown_codec_raises() -> None:
    with pytest.raises(ValueError, match="codec 5"):
        decompress(5, memoryview(b""))
