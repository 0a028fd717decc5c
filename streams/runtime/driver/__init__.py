"""Faust's Kafka driver with what a slow-call pipeline needs. With ``worker.py`` the only place that knows Faust.

Stock Faust costs a framework round per record, commits past a record that is still under way, commits after a failed
commit, and can wait 1.5 s in a fetch. Here, instead:

- one message is all that a fetch brought of one partition (``Batch``);
- what is committed is our tracker's position, nothing else, also right before a partition is given away;
- a full queue blocks the fetch loop until there is room, with no pause and no timer in it;
- the producer is idempotent, waits for all in-sync replicas, and never waits for a topic that does not exist.

Every override has a test on a real broker in ``tests/flow/test_worker.py``, so that a release that breaks one is seen.
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
from streams.runtime.driver.app import LOW_LATENCY_FETCH, THROUGHPUT_FETCH, App, FetchSettings
from streams.runtime.driver.consumer import Batch, Consumer
from streams.runtime.driver.producer import StageProducer, TooLargeError

SCHEME = "sluice"

__all__ = [
    "LOW_LATENCY_FETCH",
    "SCHEME",
    "SETTINGS",
    "THROUGHPUT_FETCH",
    "App",
    "Batch",
    "Consumer",
    "FetchSettings",
    "KafkaError",
    "NoSuchTopicError",
    "StageProducer",
    "TooLargeError",
]


class Transport(stock.Transport):
    """The two together, under the URL scheme ``sluice://``."""


# class attributes: inside the class body these names would mean Faust's own
Transport.Consumer, Transport.Producer = Consumer, StageProducer
drivers.TRANSPORTS.aliases[SCHEME] = f"{__name__}:Transport"

SETTINGS: Mapping[str, Any] = {
    "store": "memory://",
    "datadir": tempfile.gettempdir(),  # Faust makes the folder; nothing of ours is in it
    "web_enabled": False,
    "topic_disable_leader": True,
    "topic_allow_declare": False,
    "table_standby_replicas": 0,
    "stream_wait_empty": False,  # our own drain waits, and only as long as it may
    "stream_buffer_maxsize": 16,  # batches, not records
    "broker_commit_interval": 0.5,
    "broker_session_timeout": 10.0,
    "broker_heartbeat_interval": 3.0,
    "broker_request_timeout": 15.0,
    "broker_rebalance_timeout": 30.0,
    "broker_max_poll_interval": 3600.0,
    "broker_max_poll_records": 2000,  # tiny ones must not fill the memory
    "consumer_auto_offset_reset": "earliest",
    "consumer_max_fetch_size": 1024 * 1024,  # per partition and fetch; a larger record comes alone
    "producer_max_request_size": MAX_RECORD_BYTES,
    "producer_max_batch_size": 128 * 1024,
    "producer_request_timeout": 15.0,
}
"""What every app of ours is made with. Times in seconds."""
