"""What may be committed: per partition, the first offset of which not every output is on the log.

Records finish in any order; the position moves only over an unbroken run of finished ones. A partition that was
revoked is forgotten: deliveries of it that finish later move nothing, since another worker has it now.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterable


class Delivery:
    """One record of one partition, from its delivery until its outputs are acknowledged."""

    __slots__ = ("_partition", "offset")

    def __init__(self, partition: PartitionOffsets, offset: int) -> None:
        self._partition = partition
        self.offset = offset

    @property
    def is_revoked(self) -> bool:
        """Whether the partition was revoked meanwhile: another worker will write what this one would have."""
        return self._partition.revoked

    def finish(self) -> None:
        """Everything that this record leads to is on the log."""
        self._partition.finish(self.offset)


class PartitionOffsets:
    """The open deliveries of one partition, for as long as this worker has it."""

    __slots__ = ("_open", "_order", "completed_ahead", "position", "revoked")

    def __init__(self, first: int) -> None:
        self.position = first
        """The offset to commit: everything before it is finished."""
        self.revoked = False
        self._open: set[int] = set()  # delivered, not finished
        self._order: deque[int] = deque()  # as delivered, from the first that is open
        self.completed_ahead = first  # one past the last delivered offset

    def deliver(self, offset: int) -> None:
        """Note that a record is under way. Offsets only grow, with gaps where a topic is compacted."""
        self._open.add(offset)
        self._order.append(offset)
        self.completed_ahead = max(self.completed_ahead, offset + 1)

    def finish(self, offset: int) -> None:
        """Note that a record is done, and move the position as far as that allows."""
        self._open.discard(offset)
        while self._order and self._order[0] not in self._open:
            self._order.popleft()
        self.position = self._order[0] if self._order else self.completed_ahead

    @property
    def redelivery_span(self) -> int:
        """How many offsets a crash now would deliver again."""
        return self.completed_ahead - self.position

    @property
    def in_flight(self) -> int:
        """How many records are under way."""
        return len(self._open)


class OffsetTracker:
    """All partitions that this worker has."""

    def __init__(self) -> None:
        self._partitions: dict[Hashable, PartitionOffsets] = {}

    def deliver(self, partition: Hashable, offset: int) -> Delivery:
        """A record came: its delivery stays open until ``finish``."""
        held = self._partitions.get(partition)
        if held is None:
            held = self._partitions[partition] = PartitionOffsets(offset)
        held.deliver(offset)
        return Delivery(held, offset)

    def completed_ahead(self, partition: Hashable) -> int:
        """How many records beyond the position are finished."""
        held = self._partitions.get(partition)
        return held.redelivery_span - held.in_flight if held else 0

    def revoke(self, partitions: Iterable[Hashable]) -> None:
        """Another worker gets these: forget them."""
        for partition in partitions:
            held = self._partitions.pop(partition, None)
            if held is not None:
                held.revoked = True

    def position(self, partition: Hashable) -> int | None:
        """The offset that may be committed; None if nothing was delivered since the partition came."""
        held = self._partitions.get(partition)
        return held.position if held else None

    @property
    def partitions(self) -> Iterable[Hashable]:
        """The partitions of which something was delivered."""
        return tuple(self._partitions)

    @property
    def redelivery_span(self) -> int:
        """How many offsets a crash now would deliver again, over all partitions."""
        return sum(held.redelivery_span for held in self._partitions.values())

    @property
    def in_flight(self) -> int:
        """How many records are under way, over all partitions."""
        return sum(held.in_flight for held in self._partitions.values())
