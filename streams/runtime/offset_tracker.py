"""Offsets to commit: for each partition, the first offset whose record is not finished.

Records finish in any order; the position moves only over a contiguous run of finished ones. A revoked partition is
forgotten: deliveries of it that finish later move nothing, because another worker has the partition.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterable

from schemas.kafka.records import ConsumerRecord


class Delivery:
    """One record of one partition, from its delivery until its outputs are acknowledged."""

    __slots__ = ("_partition", "offset")

    def __init__(self, partition: PartitionOffsets, offset: int) -> None:
        self._partition = partition
        self.offset = offset

    @property
    def is_revoked(self) -> bool:
        """True if the partition was revoked: another worker writes the outputs instead."""
        return self._partition.revoked

    def finish(self) -> None:
        """Mark the record finished: all of its outputs are acknowledged."""
        self._partition.finish(self.offset)


Delivered = tuple[ConsumerRecord, Delivery]
"""A record and its delivery."""
Finish = Callable[[list[Delivered]], None]
"""Called with records whose outputs are all acknowledged."""


class PartitionOffsets:
    """The unfinished deliveries of one partition, for as long as this worker has it."""

    __slots__ = ("_order", "_unfinished", "end", "position", "revoked")

    def __init__(self, first: int) -> None:
        self.position = first
        """The offset to commit: every record before it is finished."""
        self.end = first
        """One past the last delivered offset."""
        self.revoked = False
        self._unfinished: set[int] = set()
        self._order: deque[int] = deque()  # in order of delivery, from the first unfinished one

    def deliver(self, offset: int) -> None:
        """Note that a record is in flight. Offsets only grow, with gaps where a topic is compacted."""
        self._unfinished.add(offset)
        self._order.append(offset)
        self.end = max(self.end, offset + 1)

    def finish(self, offset: int) -> None:
        """Note that a record is finished, and move the position as far as possible."""
        self._unfinished.discard(offset)
        while self._order and self._order[0] not in self._unfinished:
            self._order.popleft()
        self.position = self._order[0] if self._order else self.end

    def skip_to(self, offset: int) -> None:
        """Note that there is no record from the end up to this offset, such as after a transaction's marker."""
        self.end = max(self.end, offset)
        if not self._order:
            self.position = self.end

    @property
    def redelivery_span(self) -> int:
        """Number of offsets that would be delivered again after a crash now."""
        return self.end - self.position

    @property
    def in_flight(self) -> int:
        """Number of records in flight."""
        return len(self._unfinished)


class OffsetTracker:
    """The offsets of all partitions that this worker has."""

    def __init__(self) -> None:
        self._partitions: dict[Hashable, PartitionOffsets] = {}

    def deliver(self, partition: Hashable, offset: int) -> Delivery:
        """Note that a record came. Its delivery is unfinished until ``finish``."""
        offsets = self._partitions.get(partition)
        if offsets is None:
            offsets = self._partitions[partition] = PartitionOffsets(offset)
        offsets.deliver(offset)
        return Delivery(offsets, offset)

    def skip(self, partition: Hashable, fetched: int | None, position: int) -> None:
        """Move over offsets without a record: transaction markers, and records of aborted transactions.

        Does nothing while a fetched record is not delivered yet.

        Args:
            partition: one that this worker has.
            fetched: one past the last record that was fetched; None if none was since the assignment.
            position: the offset that the consumer reads next, as of that fetch.

        """
        offsets = self._partitions.get(partition)
        if offsets is None and fetched is None:
            self._partitions[partition] = PartitionOffsets(position)
        elif offsets is not None and (fetched is None or fetched <= offsets.end):
            offsets.skip_to(position)

    def completed_ahead(self, partition: Hashable) -> int:
        """Return how many offsets from the position on are not in flight, that is, finished or compacted away."""
        offsets = self._partitions.get(partition)
        return offsets.redelivery_span - offsets.in_flight if offsets else 0

    def revoke(self, partitions: Iterable[Hashable]) -> None:
        """Forget partitions that another worker gets."""
        for partition in partitions:
            offsets = self._partitions.pop(partition, None)
            if offsets is not None:
                offsets.revoked = True

    def position(self, partition: Hashable) -> int | None:
        """Return the offset that may be committed; None if nothing was delivered since the assignment."""
        offsets = self._partitions.get(partition)
        return offsets.position if offsets else None

    @property
    def partitions(self) -> Iterable[Hashable]:
        """The partitions of which a record was delivered."""
        return tuple(self._partitions)

    @property
    def redelivery_span(self) -> int:
        """Number of offsets of all partitions that would be delivered again after a crash now."""
        return sum(offsets.redelivery_span for offsets in self._partitions.values())

    @property
    def in_flight(self) -> int:
        """Number of records in flight, over all partitions."""
        return sum(offsets.in_flight for offsets in self._partitions.values())
