"""A Faust app of ours: how patient it fetches, how it gets into its Kafka, and what it wants to have."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import faust

from connectors.kafka.connection import KafkaAddress


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How patient a consumer is: the broker answers when it has so many bytes, or after so long."""

    min_bytes: int = 1
    max_wait_ms: int = 100


LOW_LATENCY_FETCH = FetchSettings()
"""For stages that somebody waits for. The longest an empty fetch is held; a literal 1500 in Faust: p99 was 21 ms."""
THROUGHPUT_FETCH = FetchSettings(min_bytes=256 * 1024, max_wait_ms=400)
"""For audit: nobody waits for a row, and a fetch for each record costs as much as all other stages together."""


class App(faust.App):
    """A Faust app that knows how patient its consumer is, and how to get into its Kafka."""

    fetch: FetchSettings = LOW_LATENCY_FETCH
    kafka: KafkaAddress
    accepts_topic: Callable[[str], bool] = staticmethod(lambda _: True)
    """Whether more of this topic's records may be fetched now."""
