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

import asyncio
import functools
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import aiokafka
import faust
import structlog
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError
from aiokafka.structs import OffsetAndMetadata
from faust.transport import drivers
from faust.transport.drivers import aiokafka as stock
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.utils.futures import maybe_async

from connectors.kafka.connection import Bootstrap, client_settings
from connectors.kafka.errors import NoSuchTopicError
from connectors.kafka.producer import LARGEST
from schemas.records import Output
from streams.rhythm import Rhythm
from streams.tracker import Tracker

SCHEME = "sluice"
HAND_OVER_S = 3.0
"""How long the producer may take to accept a record. It waits for room, and for topics that are gone."""
CONFIRM_AGAIN_S = 0.2
LOOK_AGAIN_S = 1.0
"""How often at most the broker is asked about a topic that it did not know."""
REMEMBERED_MISSING = 1000
"""Names of missing topics kept at most: callers choose them."""

__all__ = ["SCHEME", "SETTINGS", "Batch", "ConsumerRecord", "KafkaError", "NoSuchTopicError", "TooLargeError"]

TooLargeError = MessageSizeTooLargeError
"""A record is larger than the producer may send."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Fetch:
    """How patient a consumer is: the broker answers when it has so many bytes, or after so long."""

    min_bytes: int = 1
    max_wait_ms: int = 100


PROMPT = Fetch()
"""For stages that somebody waits for. The longest an empty fetch is held; a literal 1500 in Faust: p99 was 21 ms."""
PATIENT = Fetch(min_bytes=256 * 1024, max_wait_ms=400)
"""For audit: nobody waits for a row, and a fetch for each record costs as much as all other stages together."""


class App(faust.App):
    """A Faust app that knows how patient its consumer is, and how to get into its Kafka."""

    fetch: Fetch = PROMPT
    kafka: Bootstrap
    wants: Callable[[str], bool] = staticmethod(lambda _: True)
    """Whether more of this topic's records may be fetched now."""


class Batch:
    """The records of one partition that one fetch brought, dressed as one record: its offset is the last one's."""

    __slots__ = ("offset", "partition", "records", "timestamp", "timestamp_type", "topic")

    def __init__(self, records: list[Any]) -> None:
        last = records[-1]
        self.records = records
        self.topic, self.partition, self.offset = last.topic, last.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, last.timestamp_type


class Thread(stock.AIOKafkaConsumerThread):
    """What Faust calls the consumer's thread, here on the app's own loop: no stage blocks it."""

    def __init__(self, consumer: Consumer, **kwargs: Any) -> None:
        super().__init__(consumer, thread_loop=consumer.loop, **kwargs)

    async def start(self) -> None:
        """Serve in a task where stock Faust starts a thread."""
        self._thread_started.set()
        self._thread_running = self.parent_loop.create_future()
        self._serving = asyncio.ensure_future(self._serve())
        await self._thread_running

    async def _gather_remaining_tasks(self) -> None:
        """The loop is everybody's: its other tasks are not ours to cancel."""

    async def call_thread(self, fun: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any) -> Any:
        """Call it; it may be no coroutine."""
        return await maybe_async(fun(*args, **kwargs))

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        consumer = super()._create_worker_consumer(transport)
        for name, value in client_settings(cast("App", self.app).kafka).items():
            setattr(consumer._client, f"_{name}", value)  # Faust has credentials of its own, which can say less
        fetch = cast("App", self.app).fetch
        consumer._fetch_min_bytes, consumer._fetch_max_wait_ms = fetch.min_bytes, fetch.max_wait_ms
        # topic by topic: one worker has the same partition of every topic, and so all that is known about its requests
        consumer._partition_assignment_strategy = [RangePartitionAssignor]
        consumer.commit = functools.partial(self._commit_telling, consumer.commit)
        return consumer

    async def _commit_telling(
        self, commit: Callable[[Any], Awaitable[None]], offsets: Mapping[TopicPartition, OffsetAndMetadata]
    ) -> None:
        """Commit, and tell with each position how many records beyond it are finished: they wait for nobody."""
        tracker = cast("Consumer", self.consumer).tracker
        await commit({tp: OffsetAndMetadata(at.offset, str(tracker.ahead(tp))) for tp, at in offsets.items()})

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's false alarms are off: the worker watches progress itself."""


class Consumer(stock.Consumer):
    """Batches in, the tracker's positions out."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.tracker = Tracker()
        self._rhythm = Rhythm()
        self._told: dict[TP, tuple[int, int]] = {}
        """What was committed last: the position, and how many records beyond it are finished."""

    def _new_consumer_thread(self) -> Thread:
        return Thread(self, loop=self.loop, beacon=self.beacon)

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> dict[TP, list[Batch]]:  # noqa: ASYNC109
        await asyncio.sleep(self._rhythm.pause_s(time.monotonic()))
        wants = cast("App", self.app).wants
        wanted = {tp for tp in active_partitions or () if wants(tp.topic)}
        fetched = await super()._getmany(wanted, timeout) if wanted else {}
        brought = {tp: [Batch(records)] for tp, records in fetched.items() if records}
        self._rhythm.beat(sum(len(records) for records in fetched.values()), time.monotonic())
        return brought

    def _to_message(self, tp: TP, batch: Any) -> ConsumerMessage:
        return ConsumerMessage(
            batch.topic,
            batch.partition,
            batch.offset,
            batch.timestamp / 1000,
            batch.timestamp_type,
            [],
            None,
            batch.records,
            None,
            0,
            0,
            tp,
            generation_id=self.app.consumer_generation_id,
        )

    async def confirm(self) -> None:
        """Return when the group has taken our positions, so that all partitions that we have are ours.

        It takes none of a member that it has given up; then this waits until those partitions are revoked here too.
        """
        while held := {
            tp: position for tp in self.tracker.partitions if (position := self.tracker.position(tp)) is not None
        }:
            try:
                await self._thread._ensure_consumer().commit({tp: OffsetAndMetadata(at, "") for tp, at in held.items()})
            except KafkaError:
                await asyncio.sleep(CONFIRM_AGAIN_S)
            else:
                return

    def on_buffer_full(self, tp: TP) -> None:
        """No pause: the fetch loop waits at the full queue, and goes on the moment there is room."""

    def on_buffer_drop(self, tp: TP) -> None:
        """Nothing was paused."""

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Offsets jump by design; what is committed comes from the tracker."""

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:  # noqa: ARG002 - always all of them
        return iter(self.tracker.partitions)  # type: ignore[arg-type]

    def _new_offset(self, tp: TP) -> int | None:
        return self.tracker.position(tp)

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return self._told.get(tp) != (offset, self.tracker.ahead(tp))

    async def _commit_offsets(self, offsets: Mapping[TP, int], start_new_transaction: bool = True) -> bool:
        told = {tp: (offset, self.tracker.ahead(tp)) for tp, offset in offsets.items()}
        committed = await super()._commit_offsets(offsets, start_new_transaction)
        if committed:  # else it is tried again, where stock Faust takes it for done
            self._told.update(told)
        return committed

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Commit what is finished, so that the next owner repeats little, then forget the partitions."""
        if self.tracker.partitions:
            try:
                await asyncio.wait_for(self.commit(), timeout=2.0)
            except Exception as error:  # noqa: BLE001 - a commit that fails only costs repeated deliveries
                log.warning("commit before revocation failed", error=type(error).__name__)
        self.tracker.revoke(revoked)
        for tp in revoked:
            self._told.pop(tp, None)
        await super().on_partitions_revoked(revoked)


class Producer(stock.Producer):
    """Idempotent, acknowledged by all in-sync replicas, and quick to say that a topic does not exist."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._known: dict[str, set[int]] = {}
        self._missing: dict[str, float] = {}

    def _settings_extra(self) -> Mapping[str, Any]:
        return {**super()._settings_extra(), "enable_idempotence": True, "acks": "all"}

    def _settings_auth(self) -> Mapping[str, Any]:
        return client_settings(cast("App", self.app).kafka)

    async def flush(self) -> None:
        """Nothing to wait for before a commit: the tracker counts only what is acknowledged."""

    async def write(self, output: Output) -> asyncio.Future[Any]:
        """Hand a record to the producer; the future is done when all in-sync replicas have it.

        Raises:
            NoSuchTopicError: after one look at the broker's metadata, not repeated for a second.

        """
        producer = self._ensure_producer()
        if not self._exists(output):
            await self._look_up(producer, output.topic)
            if not self._exists(output):
                place = output.topic if output.partition is None else f"{output.topic}[{output.partition}]"
                raise NoSuchTopicError(f"{place} does not exist")
        headers = list(output.headers)
        try:
            async with asyncio.timeout(HAND_OVER_S):
                future: asyncio.Future[Any] = await producer.send(
                    output.topic, output.value, key=output.key, partition=output.partition, headers=headers
                )
        except TimeoutError:
            self._known.pop(output.topic, None)  # it may have been deleted: look again before the next try
            raise KafkaTimeoutError(f"{output.topic} took no record within {HAND_OVER_S:g} s") from None
        except KafkaError as error:
            if not (error.retriable or isinstance(error, TooLargeError)):
                await self.app.crash(error)  # the producer is broken for good: a new process is the cure
            raise
        return future

    def _exists(self, output: Output) -> bool:
        partitions = self._known.get(output.topic)
        return partitions is not None and (output.partition is None or output.partition in partitions)

    async def _look_up(self, producer: aiokafka.AIOKafkaProducer, topic: str) -> None:
        """Ask the broker for all topics: asking for one by name would wait for it to appear."""
        if time.monotonic() - self._missing.get(topic, -LOOK_AGAIN_S) < LOOK_AGAIN_S:
            return
        cluster = await producer.client.fetch_all_metadata()
        self._known = {name: cluster.partitions_for_topic(name) for name in cluster.topics()}
        if len(self._missing) >= REMEMBERED_MISSING:
            self._missing.clear()
        self._missing[topic] = time.monotonic()


class Transport(stock.Transport):
    """The two together, under the URL scheme ``sluice://``."""


# class attributes: inside the class body these names would mean Faust's own
Transport.Consumer, Transport.Producer = Consumer, Producer
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
    "producer_max_request_size": LARGEST,
    "producer_max_batch_size": 128 * 1024,
    "producer_request_timeout": 15.0,
}
"""What every app of ours is made with. Times in seconds."""
