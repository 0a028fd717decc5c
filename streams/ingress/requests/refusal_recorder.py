"""Recorder of requests that the ingress rejects, so that they have a row like every other request."""

from __future__ import annotations

import asyncio
import time

import structlog

from connectors.kafka import KafkaFaultError
from schemas.events.catalog import RequestSettled
from schemas.events.parts import Failure, Request
from schemas.kafka.topics import Topic
from streams.ingress.metrics import Metrics
from streams.ingress.requests.publisher import RequestPublisher
from streams.pipeline.producer_records import request_event_record

PER_SECOND = 50
"""Rejections recorded per second. More are only counted, so that a flood of bad keys can't fill the log."""

ACK_TIMEOUT_S = 1.0
"""Longest time that a rejected caller waits for the record to be acknowledged."""

_log = structlog.get_logger()


class RefusalRecorder:
    """Writes rejections as ``RequestSettled`` events."""

    def __init__(self, publisher: RequestPublisher, outcomes: Topic, metrics: Metrics, config_hash: str) -> None:
        self._publisher = publisher
        self._outcomes = outcomes
        self._metrics = metrics
        self._config_hash = config_hash
        self._second = 0
        self._count = 0

    async def record(self, request: Request, failure: Failure) -> None:
        """Record a rejection. A failure to do so is counted and logged; the caller gets its response anyway."""
        if not self._is_within_limit():
            self._metrics.unrecorded.inc()
            return
        now = time.time_ns() // 1_000_000
        event = RequestSettled(
            request=request, outcome="refused", failure=failure, settled_at=now, config_hash=self._config_hash
        )
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await self._publisher.send(request_event_record(event, self._outcomes, "ingress", now))
        except (KafkaFaultError, TimeoutError) as error:
            self._metrics.unrecorded.inc()
            _log.warning("refusal.unrecorded", request_id=request.request_id, error=type(error).__name__)

    def _is_within_limit(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= PER_SECOND
