"""What a stage is: a function from one record to the next ones. It knows nothing of Faust, and little of Kafka."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence

from schemas.kafka.records import ConsumerRecord, ProducerRecord


class DeadLetterError(Exception):
    """Raised by a stage: this record can't be processed, now or later. It goes to the dead-letter topic untouched.

    The message is one sentence for people, and never holds the record's content.
    """


class PartitionRevokedError(Exception):
    """Raised by ``Emit``: another worker has the record that is worked on. Whatever was begun with it ends here.

    Args:
        written: whether the output is on the log for all that.

    """

    def __init__(self, *, written: bool) -> None:
        super().__init__("another worker has this record")
        self.already_written = written


Emit = Callable[[ProducerRecord], Awaitable[None]]
"""Write a record and wait until the broker has it on all in-sync replicas.

Raises ``PartitionRevokedError`` if the partition of the source record was revoked, unless the output says
``write_after_revocation``.
"""


class TransformStage(ABC):
    """A stage that only thinks: filter, route, reply. It must not wait; the worker walks whole batches through it."""

    name: str

    @abstractmethod
    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Say what to write. Any exception makes the record a dead letter; its neighbours go on."""


class AsyncStage(ABC):
    """A stage that waits for others: call. Hundreds of its records are under way at once, in no order."""

    name: str

    @abstractmethod
    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        """Do the work, then say what to write. ``emit`` is for what must be on the log before going on.

        Any exception but cancellation makes the record a dead letter. Cancelled: the record is read again later.
        """

    @abstractmethod
    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:
        """Learn what other workers did with this partition. Called before its first record after each assignment.

        Args:
            partition: of the stage's source.
            since_ms: the time of that record, the first that is not known to be finished.

        """

    @abstractmethod
    def on_partition_revoked(self, partition: int) -> None:
        """Another worker may have this partition now. What is under way goes on, but writes no outcome."""

    @abstractmethod
    async def close(self) -> None:
        """Give back connections. Called once, after the last record."""


class SinkStage(ABC):
    """A stage that keeps records elsewhere: audit. The worker commits what ``store`` has returned from."""

    name: str

    @abstractmethod
    async def write_batch(self, records: Sequence[ConsumerRecord]) -> None:
        """Keep all of these, durably. Raise to have the same records offered again later; nothing is skipped."""

    @abstractmethod
    async def close(self) -> None:
        """Let go of the store. Called once, after the last batch."""


Stage = TransformStage | AsyncStage | SinkStage
