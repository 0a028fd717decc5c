"""What is left of a run, read from where it lies: every record of every topic, and every row of ClickHouse."""

from __future__ import annotations

import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.avro.codec import UndecodableError, decode
from schemas.events.catalog import AttemptFinished, AttemptStarted, AttemptWithdrawn, RequestSettled
from schemas.kafka import headers
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topic, Topics
from streams.pipeline.request_identity import request_id_of

Place = tuple[str, int, int]
"""Topic, partition, offset: who a record is."""


@dataclass(frozen=True, slots=True)
class End:
    """One ``RequestSettled``."""

    outcome: str
    replayed: bool


@dataclass(slots=True)
class Attempt:
    """One attempt at a provider, by one worker."""

    expires_at: int = 0
    finished: bool = False
    error_type: str = ""
    overtaken: bool = False
    """Its end was not on the log yet, and its time was over, when another worker began the next attempt."""

    @property
    def in_doubt(self) -> bool:
        """Whether nobody but its worker could know what became of it, when it mattered."""
        return self.overtaken or not self.finished


@dataclass(slots=True)
class OnTheLog:
    """What the topics hold."""

    sizes: dict[Place, int] = field(default_factory=dict)
    """Of every record that audit reads, in bytes."""
    requests: set[str] = field(default_factory=set)
    """The id of every request that is on a request topic."""
    ends: dict[str, list[End]] = field(default_factory=dict)
    attempts: dict[str, dict[tuple[int, str], Attempt]] = field(default_factory=dict)
    """By request, then by number and worker."""
    dead: list[Place] = field(default_factory=list)
    """Where each dead letter was before it died."""
    replies: Counter[str] = field(default_factory=Counter)
    """By correlation id."""


async def read_log(bootstrap: str, topics: Topics, replies: Topic) -> OnTheLog:
    """Read all topics from their beginning to their end."""
    found = OnTheLog()
    requests = {topic.name for topic in topics.all_requests}
    async for record in _records(bootstrap, [*topics.audited, *topics.dead_letters, replies]):
        if record.topic == replies.name:
            found.replies[headers.text(record.headers, "correlation-id")] += 1
            continue
        place = (record.topic, record.partition, record.offset)
        found.sizes[place] = len(record.value or b"")
        if record.topic in requests:
            found.requests.add(request_id_of(record, topics))
        elif record.topic.endswith("-dlt"):
            found.dead.append(_original(record))
        else:
            take(found, record)
    return found


def take(found: OnTheLog, record: ConsumerRecord) -> None:
    """Note what an event says, in the order of its partition."""
    try:
        event = decode(record.value or b"")
    except UndecodableError:
        return  # a planted one; its row and its dead letter are counted
    if isinstance(event, RequestSettled):
        found.ends.setdefault(event.request.request_id, []).append(End(event.outcome, event.replayed))
    elif isinstance(event, AttemptWithdrawn):
        found.attempts[event.request.request_id].pop((event.attempt, event.worker), None)
    elif isinstance(event, AttemptStarted | AttemptFinished):
        attempts = found.attempts.setdefault(event.request.request_id, {})
        attempt = attempts.setdefault((event.attempt, event.worker), Attempt())
        if isinstance(event, AttemptFinished):
            attempt.finished, attempt.error_type = True, event.error_type or ""
            return
        attempt.expires_at = event.expires_at
        for (number, worker), other in attempts.items():
            if number < event.attempt and worker != event.worker and not other.finished:
                other.overtaken |= other.expires_at <= event.started_at


def _original(record: ConsumerRecord) -> Place:
    """Where a dead letter was, by the text headers that Connect would write."""
    topic, partition, offset = (
        headers.text(record.headers, f"__connect.errors.{name}") for name in ("topic", "partition", "offset")
    )
    return topic, int(partition), int(offset)


async def _records(bootstrap: str, topics: list[Topic]) -> AsyncIterator[ConsumerRecord]:
    places = [TopicPartition(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(places)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(places)
        left = {place for place in places if ends[place] > 0}
        while left:
            for place, records in (await consumer.getmany(timeout_ms=1000)).items():
                for record in records:
                    yield record
                if records and records[-1].offset + 1 >= ends[place]:
                    left.discard(place)
    finally:
        await consumer.stop()


@dataclass(slots=True)
class InClickHouse:
    """What the deduplicating views show."""

    events: dict[Place, list[int]] = field(default_factory=dict)
    """Sizes of the rows at each place: one for each."""
    requests: dict[str, list[str]] = field(default_factory=dict)
    """Outcomes by request: one for each."""
    unsettled: int = 0


def read_rows(clickhouse: str) -> InClickHouse:
    """Read the views ``events``, ``requests`` and ``unsettled`` whole."""
    found = InClickHouse()
    for topic, partition, offset, size in _rows(
        clickhouse, "SELECT kafka_topic, kafka_partition, kafka_offset, bytes FROM events"
    ):
        found.events.setdefault((topic, int(partition), int(offset)), []).append(int(size))
    for request_id, outcome in _rows(clickhouse, "SELECT toString(request_id), outcome FROM requests"):
        found.requests.setdefault(request_id, []).append(outcome)
    found.unsettled = count(clickhouse, "SELECT count() FROM unsettled")
    return found


def count(clickhouse: str, sql: str) -> int:
    """The one figure that a query answers."""
    return int(next(_rows(clickhouse, sql))[0])


def _rows(clickhouse: str, sql: str) -> Iterator[list[str]]:
    query = urllib.parse.urlencode({"query": f"{sql} FORMAT TabSeparated", "database": "sluice"})
    try:
        with urllib.request.urlopen(f"{clickhouse}/?{query}", timeout=120) as answer:
            for line in answer:
                yield line.decode().rstrip("\n").split("\t")
    except urllib.error.HTTPError as error:
        raise OSError(f"{sql}: {error.read().decode(errors='replace').strip()}") from None
