"""Faust's Kafka driver, adapted to records that take long to process. Only this package and the worker import Faust.

Stock Faust handles each record as an event of its own, commits past a record that is still in flight, treats a failed
commit as done, and can wait 1.5 s in a fetch. Here, instead:

- one Faust message holds all records of one partition in one fetch (``consumer.Batch``);
- only the offset tracker's position is committed, also right before a partition is revoked;
- a full queue blocks the fetch loop until there is room, without a pause or a timer;
- the producer is idempotent, waits for all in-sync replicas, and never waits for a topic that does not exist.

``tests/flow/test_worker.py`` tests every override on a real broker, so that a release that breaks one is noticed.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from typing import Any

from aiokafka.errors import KafkaError
from faust.transport import drivers
from faust.transport.drivers import aiokafka as stock

from connectors.kafka.clients.producer import MAX_RECORD_BYTES
from connectors.kafka.errors import NoSuchTopicError
from streams.runtime.driver.app import LOW_LATENCY_FETCH, THROUGHPUT_FETCH, App
from streams.runtime.driver.consumer import Consumer
from streams.runtime.driver.producer import StageProducer, TooLargeError

SCHEME = "sluice"

__all__ = [
    "LOW_LATENCY_FETCH",
    "SCHEME",
    "SETTINGS",
    "THROUGHPUT_FETCH",
    "App",
    "Consumer",
    "KafkaError",
    "NoSuchTopicError",
    "StageProducer",
    "TooLargeError",
]


class Transport(stock.Transport):
    """Faust's transport with our consumer and producer, under the URL scheme ``sluice://``."""


# class attributes: inside the class body these names would mean Faust's own
Transport.Consumer, Transport.Producer = Consumer, StageProducer
drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"

SETTINGS: Mapping[str, Any] = {
    "store": "memory://",
    "datadir": tempfile.gettempdir(),  # Faust creates the folder; the gateway stores nothing there
    "web_enabled": False,
    "topic_disable_leader": True,
    "topic_allow_declare": False,
    "table_standby_replicas": 0,
    "stream_wait_empty": False,  # the worker drains by itself, within its timeout
    "stream_buffer_maxsize": 16,  # batches, not records
    "broker_commit_interval": 0.5,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 3.0,
    "broker_request_timeout": 15.0,
    "broker_rebalance_timeout": 30.0,
    "broker_max_poll_interval": 3600.0,
    "broker_max_poll_records": 2000,  # many small records must not fill the memory
    "consumer_auto_offset_reset": "earliest",
    "consumer_max_fetch_size": 1024 * 1024,  # per partition and fetch; a larger record comes alone
    "producer_max_request_size": MAX_RECORD_BYTES,
    "producer_max_batch_size": 128 * 1024,
    "producer_request_timeout": 15.0,
}
"""Settings of every worker's Faust app. Times are in seconds."""
