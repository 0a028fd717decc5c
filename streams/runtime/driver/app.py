"""Faust app with the settings that Faust's consumer does not have: fetch settings, Kafka's address, topics to fetch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import faust

from connectors.kafka.connection import KafkaAddress


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """The broker answers a fetch when it has ``min_bytes``, or after ``max_wait_ms``."""

    min_bytes: int = 1
    max_wait_ms: int = 100


LOW_LATENCY_FETCH = FetchSettings()
"""For stages that callers wait for. Faust's own maximum wait is a literal 1500 ms; with it, p99 was 21 ms."""
THROUGHPUT_FETCH = FetchSettings(min_bytes=256 * 1024, max_wait_ms=400)
"""For audit: no caller waits for a row, and a fetch for each record costs as much as all other stages together."""


class App(faust.App):
    """Faust app of one worker."""

    fetch: FetchSettings = LOW_LATENCY_FETCH
    kafka: KafkaAddress
    accepts_topic: Callable[[str], bool] = staticmethod(lambda _: True)
    """Returns whether more records of a topic may be fetched now."""
