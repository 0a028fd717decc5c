"""What the ingress needs of the log. Small on purpose: ``connectors.kafka`` has more than this."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from schemas.records import Output, Record


class Log(Protocol):
    """The writing end: ``connectors.kafka.Producer``."""

    async def send(self, output: Output) -> None:
        """Write one record and wait until the broker has it on all in-sync replicas.

        Raises:
            KafkaFaultError: it is not certain that the record is on the log; it may be there nevertheless.

        """
        ...


class Replies(Protocol):
    """The reading end, assigned to this instance's reply partitions: ``connectors.kafka.Reader``."""

    def __aiter__(self) -> AsyncIterator[Sequence[Record]]:
        """Whatever comes in from now on, fetch by fetch, without end."""
        ...
