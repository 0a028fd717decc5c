"""Publisher of records to Kafka that fails fast while the broker is unavailable."""

from __future__ import annotations

import time
from typing import Protocol

from connectors.kafka import BrokerUnavailableError
from schemas.kafka.records import ProducerRecord

RETRY_INTERVAL_S = 0.1
"""Interval at which one record is still sent while Kafka acknowledges nothing, to detect its recovery."""


class RequestPublisher(Protocol):
    """Interface of the producer: ``connectors.kafka.KafkaProducer``."""

    async def send(self, output: ProducerRecord) -> None:
        """Write one record and wait until all in-sync replicas have it.

        Raises:
            KafkaFaultError: the record was not acknowledged; it may have been written nevertheless.

        """
        ...


class PublisherUnavailableError(BrokerUnavailableError):
    """The record was not sent, because an earlier one was not acknowledged."""


class FailFastPublisher:
    """Publisher of which only a few callers wait for the timeout of an unavailable broker; others fail at once."""

    def __init__(self, publisher: RequestPublisher) -> None:
        self._publisher = publisher
        self._is_failing = False
        self._last_attempt_s = float("-inf")

    async def send(self, output: ProducerRecord) -> None:
        """Write one record, or fail at once if an earlier record has just failed.

        Raises:
            PublisherUnavailableError: failed at once.
            KafkaFaultError: the record was not acknowledged; it may have been written nevertheless.

        """
        if self._is_failing:
            now = time.monotonic()
            if now < self._last_attempt_s + RETRY_INTERVAL_S:
                raise PublisherUnavailableError("Kafka did not acknowledge an earlier record")
            self._last_attempt_s = now
        try:
            await self._publisher.send(output)
        except BrokerUnavailableError:
            self._is_failing = True
            raise
        self._is_failing = False
