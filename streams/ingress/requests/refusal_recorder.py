"""Puts what was refused at the door on the record, so that it is a row like every other end of a request."""

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
"""Refusals recorded per second; more are only counted, so that a flood of bad keys can't fill the log."""

ACK_TIMEOUT_S = 1.0
"""A refused caller is not kept longer than this for the sake of the record."""

_log = structlog.get_logger()


class RefusalRecorder:
    """Writes refusals as settled requests."""

    def __init__(self, log: RequestPublisher, outcomes: Topic, metrics: Metrics, config_hash: str) -> None:
        self._log = log
        self._outcomes = outcomes
        self._metrics = metrics
        self._config_hash = config_hash
        self._second = 0
        self._count = 0

    async def record(self, request: Request, failure: Failure) -> None:
        """Record a refusal. If that fails it is counted and logged, and the caller gets its answer all the same."""
        if not self._take_turn():
            self._metrics.unrecorded.inc()
            return
        now = time.time_ns() // 1_000_000
        event = RequestSettled(
            request=request, outcome="refused", failure=failure, settled_at=now, config_hash=self._config_hash
        )
        try:
            async with asyncio.timeout(ACK_TIMEOUT_S):
                await self._log.send(request_event_record(event, self._outcomes, "ingress", now))
        except (KafkaFaultError, TimeoutError) as error:
            self._metrics.unrecorded.inc()
            _log.warning("refusal.unrecorded", request_id=request.request_id, error=type(error).__name__)

    def _take_turn(self) -> bool:
        second = int(time.monotonic())
        if second != self._second:
            self._second, self._count = second, 0
        self._count += 1
        return self._count <= PER_SECOND
