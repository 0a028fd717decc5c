"""Monitor of the pipeline's backlog: measures the consumer lag once per second."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol

import structlog

from connectors.kafka import KafkaFaultError
from schemas.kafka.topics import Topic, Topics
from streams.ingress.admission.wait_estimate import BacklogSample, WaitEstimator

POLL_INTERVAL_S = 1.0
STAGES = ("filter", "route", "call")
"""Stages that a request passes before its caller has the reply."""

_log = structlog.get_logger()


class TopicLag(Protocol):
    """Lag of a stage on one topic, in records: ``connectors.kafka.admin.lag``."""

    @property
    def waiting(self) -> int: ...  # noqa: D102 - documented there

    @property
    def finished(self) -> int: ...  # noqa: D102 - documented there


MeasureLag = Callable[[Mapping[str, Sequence[Topic]]], Awaitable[Mapping[str, TopicLag]]]


async def monitor_backlog(estimator: WaitEstimator, measure: MeasureLag, topics: Topics) -> None:
    """Measure the backlog until cancelled. While it can't be measured, no request is rejected because of it."""
    sources = {topics.group(stage): topics.sources_of(stage) for stage in STAGES}
    while True:
        try:
            estimator.observe(to_sample(await measure(sources), topics, time.monotonic()))
        except KafkaFaultError as error:
            estimator.forget()
            _log.info("backlog.unknown", reason=str(error))
        except Exception as error:  # noqa: BLE001 - an unknown backlog must not stop the ingress
            estimator.forget()
            _log.warning("backlog.unknown", error=type(error).__name__)
        await asyncio.sleep(POLL_INTERVAL_S)


def to_sample(lags: Mapping[str, TopicLag], topics: Topics, now_s: float) -> BacklogSample:
    """Return the sum of the lags, by lane."""
    batch = sum(lag.waiting for topic, lag in lags.items() if topics.is_batch(topic))
    waiting = sum(lag.waiting for topic, lag in lags.items() if not topics.is_batch(topic))
    return BacklogSample(now_s, waiting, lags[topics.routed.name].finished, batch)
