"""Keeps the ingress's idea of the backlog true: a look at the log each second."""

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
"""Those that stand before the end of a request's wait."""

_log = structlog.get_logger()


class GroupLag(Protocol):
    """How a stage stands with a topic, in records: ``connectors.kafka.admin.lag``."""

    @property
    def waiting(self) -> int: ...  # noqa: D102 - said there

    @property
    def finished(self) -> int: ...  # noqa: D102 - said there


Look = Callable[[Mapping[str, Sequence[Topic]]], Awaitable[Mapping[str, GroupLag]]]


async def monitor_backlog(pressure: WaitEstimator, look: Look, topics: Topics) -> None:
    """Look again and again until cancelled. While nobody answers nothing is known, and nobody refused for it."""
    read = {topics.group(stage): topics.sources_of(stage) for stage in STAGES}
    while True:
        try:
            pressure.observe(sample(await look(read), topics, time.monotonic()))
        except KafkaFaultError as error:
            pressure.forget()
            _log.info("backlog.unknown", reason=str(error))
        except Exception as error:  # noqa: BLE001 - to know less is no reason to serve nobody
            pressure.forget()
            _log.warning("backlog.unknown", error=type(error).__name__)
        await asyncio.sleep(POLL_INTERVAL_S)


def sample(found: Mapping[str, GroupLag], topics: Topics, now_s: float) -> BacklogSample:
    """What was found, by lane."""
    batch = sum(standing.waiting for name, standing in found.items() if topics.is_batch(name))
    waiting = sum(standing.waiting for name, standing in found.items() if not topics.is_batch(name))
    return BacklogSample(now_s, waiting, found[topics.routed.name].finished, batch)
