"""What the ingress needs of the log. Small on purpose: ``connectors.kafka`` has more than this."""

from __future__ import annotations

import time
from typing import Protocol

from connectors.kafka import BrokerUnavailableError
from schemas.kafka.records import ProducerRecord

RETRY_INTERVAL_S = 0.1
"""While Kafka acknowledges nothing, so often a record is tried all the same: others learn by it that it is back."""


class RequestPublisher(Protocol):
    """The writing end: ``connectors.kafka.Producer``."""

    async def send(self, output: ProducerRecord) -> None:
        """Write one record and wait until the broker has it on all in-sync replicas.

        Raises:
            KafkaFaultError: it is not certain that the record is on the log; it may be there nevertheless.

        """
        ...


class PublisherUnavailableError(BrokerUnavailableError):
    """The record was not sent, since the one before it was not acknowledged. It is not on the log."""


class FailFastPublisher:
    """A log that a broker which is away costs a few callers its timeout, and all others nothing."""

    def __init__(self, log: RequestPublisher) -> None:
        self._log = log
        self._silent = False
        self._tried_s = float("-inf")

    async def send(self, output: ProducerRecord) -> None:
        """Write one record as ``Log`` has it, or refuse at once while others have just waited in vain.

        Raises:
            NotTriedError: refused at once.
            KafkaFaultError: it is not certain that the record is on the log; it may be there nevertheless.

        """
        if self._silent:
            now = time.monotonic()
            if now < self._tried_s + RETRY_INTERVAL_S:
                raise PublisherUnavailableError("Kafka did not acknowledge what was written before")
            self._tried_s = now
        try:
            await self._log.send(output)
        except BrokerUnavailableError:
            self._silent = True
            raise
        self._silent = False
