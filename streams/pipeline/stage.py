"""Contracts of stages: functions from one record to the next ones. They do not depend on Faust or on a Kafka client."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord


class DeadLetterError(Exception):
    """Raised by a stage if a record can't be processed, now or later. It goes to the dead-letter topic unchanged.

    The message is one sentence for the operator, and never contains the record's content.
    """


class PartitionRevokedError(Exception):
    """Raised by ``Emit`` if another worker has the record's partition. The stage stops processing the record.

    Args:
        already_written: whether the output was written all the same.

    """

    def __init__(self, *, already_written: bool) -> None:
        super().__init__("another worker has this record's partition")
        self.already_written = already_written


Emit = Callable[[ProducerRecord], Awaitable[None]]
"""Write a record and wait until the broker has it on all in-sync replicas.

Raises ``PartitionRevokedError`` if the partition of the source record was revoked, unless the output says
``write_after_revocation``.
"""


class TransformStage(ABC):
    """Stage without I/O: filter, route, reply. It must not block; the worker passes it whole batches."""

    name: str

    @abstractmethod
    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Return the outputs of a record. Any exception makes the record a dead letter; the others are processed."""

    def end_after_failure(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:  # noqa: ARG002 - for the subclasses
        """Return the end of the request of a record on which ``process`` raised, to be written with the dead letter.

        If this raises, the dead letter is written alone.
        """
        return ()


class AsyncStage(ABC):
    """Stage with I/O: call. Hundreds of its records are in flight at once, and finish in any order."""

    name: str

    @abstractmethod
    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        """Process a record, and return its outputs. ``emit`` writes an output and waits until it is acknowledged.

        Any exception but cancellation makes the record a dead letter. After a cancellation it is delivered again.
        """

    def end_after_failure(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:  # noqa: ARG002 - for the subclasses
        """Return the end of the request of a record on which ``process`` raised: see ``TransformStage``."""
        return ()

    @abstractmethod
    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:
        """Load what other workers did with this partition. Called before its first record after each assignment.

        Args:
            partition: of the stage's source topics.
            since_ms: timestamp of that record, the first that is not known to be finished.

        """

    @abstractmethod
    def on_partition_revoked(self, partition: int) -> None:
        """Note that another worker may have this partition. Records in flight continue, but write no outcome."""

    @abstractmethod
    async def close(self) -> None:
        """Close connections. Called once, after the last record."""


class SinkStage(ABC):
    """Stage that writes records to a store: audit. The worker commits a batch when ``write_batch`` has returned."""

    name: str

    @abstractmethod
    async def write_batch(self, records: Sequence[ConsumerRecord]) -> None:
        """Store all of these records durably. After an exception the same records are passed again; none is skipped."""

    @abstractmethod
    async def close(self) -> None:
        """Close the store. Called once, after the last batch."""


Stage = TransformStage | AsyncStage | SinkStage
