"""Reads the evidence of a run: every record of every topic, and every row of ClickHouse."""

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

RecordId = tuple[str, int, int]
"""Topic, partition, offset."""


@dataclass(frozen=True, slots=True)
class FinalState:
    """One ``RequestSettled``."""

    outcome: str
    replayed: bool


@dataclass(slots=True)
class Attempt:
    """One attempt at a provider, by one worker."""

    expires_at: int = 0
    finished: bool = False
    error_type: str = ""
    superseded: bool = False
    """Expired without a result on the log when another worker started the next attempt."""

    @property
    def in_doubt(self) -> bool:
        """Return whether its result was unknown to other workers when they had to decide."""
        return self.superseded or not self.finished


@dataclass(slots=True)
class LogContents:
    """Contents of the topics."""

    sizes: dict[RecordId, int] = field(default_factory=dict)
    """Size in bytes of every record that audit reads."""
    requests: set[str] = field(default_factory=set)
    """Ids of the requests on request topics."""
    final_states: dict[str, list[FinalState]] = field(default_factory=dict)
    attempts: dict[str, dict[tuple[int, str], Attempt]] = field(default_factory=dict)
    """By request, then by number and worker."""
    dead_letters: list[RecordId] = field(default_factory=list)
    """Source record of each dead letter."""
    replies: Counter[str] = field(default_factory=Counter)
    """By correlation id."""


async def read_log(bootstrap: str, topics: Topics, replies: Topic) -> LogContents:
    """Read all topics from beginning to end."""
    found = LogContents()
    requests = {topic.name for topic in topics.all_requests}
    async for record in _records(bootstrap, [*topics.audited, *topics.dead_letters, replies]):
        if record.topic == replies.name:
            found.replies[headers.text(record.headers, "correlation-id")] += 1
            continue
        record_id = (record.topic, record.partition, record.offset)
        found.sizes[record_id] = len(record.value or b"")
        if record.topic in requests:
            found.requests.add(request_id_of(record, topics))
        elif record.topic.endswith("-dlt"):
            found.dead_letters.append(_source_of(record))
        else:
            add_event(found, record)
    return found


def add_event(found: LogContents, record: ConsumerRecord) -> None:
    """Add an event. Events of one partition must come in the order of the log."""
    try:
        event = decode(record.value or b"")
    except UndecodableError:
        return  # injected; its row and its dead letter are checked
    if isinstance(event, RequestSettled):
        found.final_states.setdefault(event.request.request_id, []).append(FinalState(event.outcome, event.replayed))
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
                other.superseded |= other.expires_at <= event.started_at


def _source_of(record: ConsumerRecord) -> RecordId:
    """Return the source of a dead letter, from the text headers that Kafka Connect would write."""
    topic, partition, offset = (
        headers.text(record.headers, f"__connect.errors.{name}") for name in ("topic", "partition", "offset")
    )
    return topic, int(partition), int(offset)


async def _records(bootstrap: str, topics: list[Topic]) -> AsyncIterator[ConsumerRecord]:
    partitions = [TopicPartition(topic.name, partition) for topic in topics for partition in range(topic.partitions)]
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
    await consumer.start()
    try:
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        unread = {partition for partition in partitions if ends[partition] > 0}
        while unread:
            for partition, records in (await consumer.getmany(timeout_ms=1000)).items():
                for record in records:
                    yield record
                if records and records[-1].offset + 1 >= ends[partition]:
                    unread.discard(partition)
    finally:
        await consumer.stop()


@dataclass(slots=True)
class StoredRows:
    """Rows of the deduplicating views."""

    events: dict[RecordId, list[int]] = field(default_factory=dict)
    """Sizes of the rows of each record: one if all is well."""
    requests: dict[str, list[str]] = field(default_factory=dict)
    """Outcomes of each request: one if all is well."""
    unsettled: int = 0


def read_rows(clickhouse: str) -> StoredRows:
    """Read the views ``events``, ``requests`` and ``unsettled``."""
    found = StoredRows()
    for topic, partition, offset, size in _rows(
        clickhouse, "SELECT kafka_topic, kafka_partition, kafka_offset, bytes FROM events"
    ):
        found.events.setdefault((topic, int(partition), int(offset)), []).append(int(size))
    for request_id, outcome in _rows(clickhouse, "SELECT toString(request_id), outcome FROM requests"):
        found.requests.setdefault(request_id, []).append(outcome)
    found.unsettled = count(clickhouse, "SELECT count() FROM unsettled")
    return found


def count(clickhouse: str, sql: str) -> int:
    """Return the number that a query selects."""
    return int(next(_rows(clickhouse, sql))[0])


def _rows(clickhouse: str, sql: str) -> Iterator[list[str]]:
    query = urllib.parse.urlencode({"query": f"{sql} FORMAT TabSeparated", "database": "sluice"})
    try:
        with urllib.request.urlopen(f"{clickhouse}/?{query}", timeout=120) as answer:
            for line in answer:
                yield line.decode().rstrip("\n").split("\t")
    except urllib.error.HTTPError as error:
        raise OSError(f"{sql}: {error.read().decode(errors='replace').strip()}") from None
