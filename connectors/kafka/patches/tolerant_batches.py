"""A batch that aiokafka can't parse, or should not, costs its reader that batch, not its life.

Kafka's own clients read a header's name that is not UTF-8 with replacement characters. aiokafka raises there, in its
parser in C as in the one in Python, and its consumer never gets past that offset: whoever may write one such record to
a topic stops every reader of it for good. Brokers also take batches whose compressed bytes nobody can decompress, and
records that claim an offset beyond their batch, which would send a reader's position with them. Here, instead:

- a batch that raises is parsed again, by us, and such a name is read as Kafka's own clients read it;
- a batch that can't be parsed at all becomes one record without key and value that says so, for the dead letters;
- of one fetch no more is taken than ``LIMIT_BYTES`` decompressed; the rest is fetched again.

A wrong checksum stays what it is: those bytes were damaged on their way, and are fetched again.
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
"""The header of the record that stands for a batch that can't be parsed; its value is the class of the error."""
MOST_RECORDS = 250_000
"""In one batch. A request has some dozens of bytes at least, so that no honest batch comes near."""

_HEADER_BYTES = 61
_ATTRIBUTES = 21
_COUNT = slice(57, 61)
_CODEC_MASK = 0x07
_LOG_APPEND_TIME = 1
_log = structlog.get_logger()


def apply() -> None:
    """Make every consumer of this process read so. Twice is as good as once."""
    fetcher.MemoryRecords = TolerantRecords


class UnparsableBatchError(ValueError):
    """A batch that is not what the format's description says."""


class TolerantRecords(_MemoryRecordsPy):  # type: ignore[misc] # final to type checkers only
    """What one fetch brought of a partition, batch by batch."""

    def __init__(self, bytes_data: bytes) -> None:
        super().__init__(bytes_data)
        self.taken = 0
        """Bytes of the batches that were decompressed so far."""

    def has_next(self) -> bool:
        """Whether a batch is there to be taken; what is beyond the limit will be fetched again."""
        return self.taken < LIMIT_BYTES and super().has_next()

    def next_batch(self) -> Any:  # noqa: ANN401 - a batch of either format
        """Return the next batch; None behind the last."""
        held = self._next_slice
        batch = super().next_batch()
        return _Batch(batch, held, self) if isinstance(batch, DefaultRecordBatch) else batch


class _Batch:
    """aiokafka's batch, but for what iterating does."""

    def __init__(self, batch: Any, held: memoryview, fetched: TolerantRecords) -> None:  # noqa: ANN401 - a class in C
        self._batch = batch
        self._held = held
        self._fetched = fetched

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the fetcher asks of a batch
        return getattr(self._batch, name)

    def __next__(self) -> Any:  # noqa: ANN401 - for the control records, which brokers write
        return next(self._batch)

    def __iter__(self) -> Iterator[Any]:
        try:
            if int.from_bytes(self._held[_COUNT]) > MOST_RECORDS:
                raise UnparsableBatchError(f"more than {MOST_RECORDS} records")  # noqa: TRY301 - told below like the rest
            plain = self._plain()
            self._fetched.taken += len(plain)
            yield from self._records(plain)
        except Exception as error:  # noqa: BLE001 - what is in there may be anybody's
            yield self._stand_in(error)

    def _plain(self) -> bytes:
        """The whole batch without compression."""
        codec = self._held[_ATTRIBUTES + 1] & _CODEC_MASK
        if not codec:
            return bytes(self._held)
        header = bytearray(self._held[:_HEADER_BYTES])
        header[_ATTRIBUTES + 1] &= ~_CODEC_MASK
        return bytes(header) + decompress(codec, self._held[_HEADER_BYTES:])

    def _records(self, plain: bytes) -> Iterator[Any]:
        first, behind = self._batch.base_offset, self._batch.next_offset
        try:
            for record in DefaultRecordBatch(plain):
                if not first <= record.offset < behind:
                    raise UnparsableBatchError("a record's offset is not one of its batch")  # noqa: TRY301 - as above
                yield record
        except UnparsableBatchError:
            raise
        except Exception:  # noqa: BLE001 - aiokafka's parser raises whatever comes
            # all of it once more: the fetcher passes over the offsets that it has had
            yield from list(_parsed(plain, self._batch))

    def _stand_in(self, error: Exception) -> _DefaultRecordPy:
        name = type(error).__name__
        _log.warning("batch.unreadable", error=name, offset=self._batch.base_offset)
        headers: list[tuple[str, bytes | None]] = [(UNREADABLE, name.encode())]
        return _DefaultRecordPy(self._batch.next_offset - 1, self._batch.max_timestamp, 0, None, None, headers)


def _parsed(plain: bytes, batch: Any) -> Iterator[_DefaultRecordPy]:  # noqa: ANN401 - a class in C
    """Parse a batch by the format's own description: numbers of variable length, then bytes."""
    cursor = _Cursor(plain, _HEADER_BYTES)
    for _ in range(int.from_bytes(plain[_COUNT])):
        end = cursor.number() + cursor.place
        cursor.place += 1  # attributes, of which there are none
        timestamp, offset = batch.first_timestamp + cursor.number(), batch.base_offset + cursor.number()
        if batch.timestamp_type == _LOG_APPEND_TIME:
            timestamp = batch.max_timestamp
        key, value = cursor.bytes(), cursor.bytes()
        headers = [((cursor.bytes() or b"").decode(errors="replace"), cursor.bytes()) for _ in range(cursor.number())]
        if cursor.place != end or not batch.base_offset <= offset < batch.next_offset:
            raise UnparsableBatchError("a record's length or offset is not what its batch says")
        yield _DefaultRecordPy(offset, timestamp, batch.timestamp_type, key, value, headers)


class _Cursor:
    """A place in some bytes."""

    def __init__(self, data: bytes, place: int) -> None:
        self._data = data
        self.place = place

    def number(self) -> int:
        """Read a number of variable length."""
        value, self.place = decode_varint(self._data, self.place)
        return int(value)

    def bytes(self) -> bytes | None:
        """Read as many bytes as the number before them says; None if it is negative."""
        size = self.number()
        if size < 0:
            return None
        begin, self.place = self.place, self.place + size
        if self.place > len(self._data):
            raise UnparsableBatchError("a record ends behind its batch")
        return self._data[begin : self.place]
