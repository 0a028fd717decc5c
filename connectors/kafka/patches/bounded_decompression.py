"""The records of a compressed batch, and never more of them than a reader has memory for.

A broker limits what a batch weighs as it was sent. A megabyte of zstd may hold thirty gigabytes, and aiokafka would
take them all at once: one such batch would end every worker that reads it, and each that is started in its place.
"""

from __future__ import annotations

import gzip
import io

import cramjam
from aiokafka.codec import lz4_decode, snappy_decode, zstd_decode

from schemas.kafka.topics import MAX_MESSAGE_BYTES

LIMIT_BYTES = MAX_MESSAGE_BYTES
"""Of one batch: what the largest record needs. Producers bound a batch before they compress it, most at far less."""

_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_DENSEST = {_LZ4: 255, _ZSTD: 32_768, _SNAPPY: 22}
"""How many bytes one byte can stand for, by the formats' own descriptions."""
_GROWTH = 8


class OversizeBatchError(ValueError):
    """A batch that is larger than ``LIMIT_BYTES`` once it is decompressed."""


def decompress(codec: int, payload: memoryview) -> bytes:
    """Decompress what stands behind a batch's header.

    Args:
        codec: Kafka's number of it, from the batch's attributes.
        payload: the compressed records.

    Raises:
        OversizeBatchError: they are too large, which is noticed at the limit.
        Exception: the bytes are not of this codec; each codec has errors of its own.

    """
    if codec == _GZIP:
        return _gunzip(payload)
    if codec not in _DENSEST:
        raise ValueError(f"codec {codec} is none of Kafka's")
    if len(payload) * _DENSEST[codec] <= LIMIT_BYTES:
        return bytes({_LZ4: lz4_decode, _ZSTD: zstd_decode, _SNAPPY: snappy_decode}[codec](payload.tobytes()))
    if codec == _SNAPPY:
        return _limited(snappy_decode(payload.tobytes()))  # its density alone bounds it to a few times the limit
    return _decompress_growing(codec, payload.tobytes())


def _gunzip(payload: memoryview) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(payload)) as file:
        return _limited(file.read(LIMIT_BYTES + 1))


def _decompress_growing(codec: int, payload: bytes) -> bytes:
    """Try with more room each time, since these formats need not say how large they become."""
    decompress_into = (cramjam.lz4 if codec == _LZ4 else cramjam.zstd).decompress_into
    size = min(LIMIT_BYTES, _GROWTH * len(payload))
    while True:
        room = bytearray(size)
        try:
            return bytes(memoryview(room)[: decompress_into(payload, room)])
        except cramjam.DecompressionError:
            if size == LIMIT_BYTES:
                raise OversizeBatchError from None
            size = min(LIMIT_BYTES, size * _GROWTH)


def _limited(records: bytes) -> bytes:
    if len(records) > LIMIT_BYTES:
        raise OversizeBatchError
    return records
