"""Batch parsing that survives batches which aiokafka can't parse, or which would use too much memory.

Kafka's own clients decode a header name that is not UTF-8 with replacement characters. aiokafka raises an error there,
in its C parser as in the one in Python, and its consumer never gets past that offset: one such record stops every
reader of its partition for good. Brokers also accept batches whose compressed bytes can't be decompressed, and records
that claim an offset beyond their batch, which would move a reader's position there. With this patch:

- a batch that raises is parsed again by the parser below, which decodes such a name as Kafka's own clients do;
- a batch that can't be parsed at all becomes one record without key and value, with the header ``UNREADABLE``, for the
  dead-letter topic;
- one fetch is consumed up to ``LIMIT_BYTES`` decompressed; the rest is fetched again.

A wrong checksum is still an error: those bytes were damaged in transit, and are fetched again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import structlog
from aiokafka.consumer import fetcher
from aiokafka.record.default_records import DefaultRecordBatch, _DefaultRecordPy
from aiokafka.record.memory_records import _MemoryRecordsPy
from aiokafka.record.util import decode_varint

from connectors.kafka.patches.bounded_decompression import LIMIT_BYTES, decompress

UNREADABLE = "sluice-unreadable"
"""Header of the record that stands for a batch that can't be parsed; its value is the error's class."""
MAX_RECORDS = 250_000
"""Records in one batch. A request has some dozens of bytes at least, so that a valid batch has far fewer."""

_HEADER_BYTES = 61
_ATTRIBUTES = 21
_COUNT = slice(57, 61)
_CODEC_MASK = 0x07
_LOG_APPEND_TIME = 1
log = structlog.get_logger()


def apply() -> None:
    """Make every consumer of this process parse batches this way."""
    fetcher.MemoryRecords = TolerantRecords


class UnparsableBatchError(ValueError):
    """A batch that does not follow the format's description."""


class TolerantRecords(_MemoryRecordsPy):  # type: ignore[misc] # final to type checkers only
    """The batches of one partition in one fetch."""

    def __init__(self, bytes_data: bytes) -> None:
        super().__init__(bytes_data)
        self.decompressed_bytes = 0
        """Size of the batches that were decompressed so far."""

    def has_next(self) -> bool:
        """Return whether there is another batch; batches beyond the limit are left to the next fetch."""
        return self.decompressed_bytes < LIMIT_BYTES and super().has_next()

    def next_batch(self) -> Any:  # noqa: ANN401 - a batch of either format
        """Return the next batch; None after the last."""
        data = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, data, self) if isinstance(batch, DefaultRecordBatch) else batch


class _Batch:
    """aiokafka's batch with another iterator."""

    def __init__(self, batch: Any, data: memoryview, fetched: TolerantRecords) -> None:  # noqa: ANN401 - a class in C
        self._batch = batch
        self._data = data
        self._fetched = fetched

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - all attributes that the fetcher reads
        return getattr(self._batch, name)

    def __next__(self) -> Any:  # noqa: ANN401 - for the control records, which brokers write
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            if int.from_bytes(self._data[_COUNT]) > MAX_RECORDS:
                raise UnparsableBatchError(f"more than {MAX_RECORDS} records")  # noqa: TRY301 - handled below as well
            plain = self._decompress()
            self._fetched.decompressed_bytes += len(plain)
            yield from self._records(plain)
        except Exception as error:  # noqa: BLE001 - the bytes may come from any producer
            yield self._placeholder(error)

    def _decompress(self) -> bytes:
        """Return the whole batch without compression."""
        codec = self._data[_ATTRIBUTES + 1] & _CODEC_MASK
        if not codec:
            return bytes(self._data)
        header = bytearray(self._data[:_HEADER_BYTES])
        header[_ATTRIBUTES + 1] &= ~_CODEC_MASK
        return bytes(header) + decompress(codec, self._data[_HEADER_BYTES:])

    def _records(self, plain: bytes) -> Iterator[Any]:
        first, end = self._batch.base_offset, self._batch.next_offset
        try:
            for record in DefaultRecordBatch(plain):
                if not first <= record.offset < end:
                    raise UnparsableBatchError("a record's offset is not in its batch")  # noqa: TRY301 - as above
                yield record
        except UnparsableBatchError:
            raise
        except Exception:  # noqa: BLE001 - aiokafka's parser raises many kinds of errors
            # from the start: the fetcher skips the offsets that it has already seen
            yield from list(_parse(plain, self._batch))

    def _placeholder(self, error: Exception) -> _DefaultRecordPy:
        name = type(error).__name__
        log.warning("batch.unreadable", error=name, offset=self._batch.base_offset)
        headers: list[tuple[str, bytes | None]] = [(UNREADABLE, name.encode())]
        return _DefaultRecordPy(self._batch.next_offset - 1, self._batch.max_timestamp, 0, None, None, headers)


def _parse(plain: bytes, batch: Any) -> Iterator[_DefaultRecordPy]:  # noqa: ANN401 - a class in C
    """Parse a batch by the format's description: varints, and bytes that follow their length."""
    cursor = _Cursor(plain, _HEADER_BYTES)
    for _ in range(int.from_bytes(plain[_COUNT])):
        end = cursor.read_varint() + cursor.position
        cursor.position += 1  # attributes: the format defines none
        timestamp, offset = batch.first_timestamp + cursor.read_varint(), batch.base_offset + cursor.read_varint()
        if batch.timestamp_type == _LOG_APPEND_TIME:
            timestamp = batch.max_timestamp
        key, value = cursor.read_bytes(), cursor.read_bytes()
        count = cursor.read_varint()
        headers = [((cursor.read_bytes() or b"").decode(errors="replace"), cursor.read_bytes()) for _ in range(count)]
        if cursor.position != end or not batch.base_offset <= offset < batch.next_offset:
            raise UnparsableBatchError("a record's length or offset disagrees with its batch")
        yield _DefaultRecordPy(offset, timestamp, batch.timestamp_type, key, value, headers)


class _Cursor:
    """A read position in a byte string."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self.position = position

    def read_varint(self) -> int:
        """Read a number of variable length."""
        value, self.position = decode_varint(self._data, self.position)
        return int(value)

    def read_bytes(self) -> bytes | None:
        """Read a length and as many bytes; None if the length is negative."""
        size = self.read_varint()
        if size < 0:
            return None
        begin, self.position = self.position, self.position + size
        if self.position > len(self._data):
            raise UnparsableBatchError("a record ends after its batch")
        return self._data[begin : self.position]
