"""Decompression of a record batch with a limit on the decompressed size.

A broker limits the compressed size of a batch. A megabyte of zstd may hold thirty gigabytes, and aiokafka would
decompress them all at once: one such batch would kill every worker that reads it, and each of its replacements.
"""

from __future__ import annotations

import gzip
import io

import cramjam
from aiokafka.codec import lz4_decode, snappy_decode, zstd_decode

from schemas.kafka.topics import MAX_MESSAGE_BYTES

LIMIT_BYTES = MAX_MESSAGE_BYTES
"""Decompressed size of one batch: enough for the largest record. Producers limit a batch before compression, most of
them to far less."""

_GZIP, _SNAPPY, _LZ4, _ZSTD = 1, 2, 3, 4
_MAX_EXPANSION = {_LZ4: 255, _ZSTD: 32_768, _SNAPPY: 22}
"""Decompressed bytes per compressed byte at most, by the descriptions of the formats."""
_GROWTH = 8


class OversizeBatchError(ValueError):
    """A batch that is larger than ``LIMIT_BYTES`` once it is decompressed."""


def decompress(codec: int, payload: memoryview) -> bytes:
    """Decompress the records behind a batch's header.

    Args:
        codec: Kafka's number of it, from the batch's attributes.
        payload: the compressed records.

    Raises:
        OversizeBatchError: they are larger than the limit. Every codec but snappy stops decompressing there.
        Exception: the payload is invalid for this codec; each codec has errors of its own.

    """
    if codec == _GZIP:
        return _gunzip(payload)
    if codec not in _MAX_EXPANSION:
        raise ValueError(f"Kafka has no codec {codec}")
    if len(payload) * _MAX_EXPANSION[codec] <= LIMIT_BYTES:
        return bytes({_LZ4: lz4_decode, _ZSTD: zstd_decode, _SNAPPY: snappy_decode}[codec](payload.tobytes()))
    if codec == _SNAPPY:
        return _check_size(snappy_decode(payload.tobytes()))  # its expansion alone bounds it to a few times the limit
    return _decompress_growing(codec, payload.tobytes())


def _gunzip(payload: memoryview) -> bytes:
    with gzip.GzipFile(fileobj=io.BytesIO(payload)) as file:
        return _check_size(file.read(LIMIT_BYTES + 1))


def _decompress_growing(codec: int, payload: bytes) -> bytes:
    """Try with a larger buffer each time, because these formats need not state the decompressed size."""
    decompress_into = (cramjam.lz4 if codec == _LZ4 else cramjam.zstd).decompress_into
    size = min(LIMIT_BYTES, _GROWTH * len(payload))
    while True:
        buffer = bytearray(size)
        try:
            return bytes(memoryview(buffer)[: decompress_into(payload, buffer)])
        except cramjam.DecompressionError:
            if size == LIMIT_BYTES:
                raise OversizeBatchError from None
            size = min(LIMIT_BYTES, size * _GROWTH)


def _check_size(records: bytes) -> bytes:
    if len(records) > LIMIT_BYTES:
        raise OversizeBatchError
    return records
