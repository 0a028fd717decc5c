"""Follower of partitions without a group: reads from a point in time to the end, and every later record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from connectors.kafka.connection import KafkaAddress, consumer_settings
from schemas.kafka.records import ConsumerRecord

log = structlog.get_logger()

_FETCH_WAIT_MS = 200
"""Longest delay of a change of partitions by a fetch, and of a record by the next fetch."""
_MIN_FETCH_BYTES = 256 * 1024
"""After catching up, a fetch returns with this many bytes or after the time above: a fetch for each record would cost
more than the call that wrote it."""
_RETRY_S = 0.5


class TopicFollower:
    """Passes every record of some partitions to a callback, in order of offsets within each partition."""

    def __init__(self, bootstrap: KafkaAddress, deliver: Callable[[ConsumerRecord], None]) -> None:
        self._bootstrap = bootstrap
        self._deliver = deliver
        self._positions: dict[TopicPartition, int] = {}
        self._wanted: dict[TopicPartition, tuple[int, asyncio.Future[None]]] = {}
        self._ends: dict[TopicPartition, tuple[int, asyncio.Future[None]]] = {}
        self._moved = False
        """True if a position was changed and the client has to seek."""
        self._task: asyncio.Task[None] | None = None

    async def follow(self, topic: str, partition: int, since_ms: int) -> None:
        """Read a partition from this time on; return when all records up to its present end were delivered.

        A partition that is followed already is read again from there. While Kafka is unavailable, this waits.
        """
        caught_up = asyncio.get_running_loop().create_future()
        self._wanted[TopicPartition(topic, partition)] = (since_ms, caught_up)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await asyncio.wait([caught_up, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not caught_up.done():
            self._task.result()  # it ends only by an error, which this raises

    def leave(self, topic: str, partition: int) -> None:
        """Stop reading this partition, and release callers that wait for it in ``follow``."""
        key = TopicPartition(topic, partition)
        self._positions.pop(key, None)
        for waiting in (self._wanted, self._ends):
            _, caught_up = waiting.pop(key, (0, None))
            if caught_up is not None and not caught_up.done():
                caught_up.set_result(None)

    async def stop(self) -> None:
        """Stop reading all partitions."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Read until stopped, with a new client after every failure."""
        while True:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await self._read()
            log.warning("follower.reconnecting", topics=sorted({partition.topic for partition in self._positions}))
            await asyncio.sleep(_RETRY_S)

    async def _read(self) -> None:
        async with AIOKafkaConsumer(
            **consumer_settings(self._bootstrap),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=_FETCH_WAIT_MS,
        ) as client:
            assigned: frozenset[TopicPartition] = frozenset()
            while True:
                is_catching_up = self._wanted or self._ends
                client._fetcher._fetch_min_bytes = 1 if is_catching_up else _MIN_FETCH_BYTES  # noqa: SLF001 - no setting can change
                await self._find(client)
                if self._moved or assigned != frozenset(self._positions):
                    self._moved, assigned = False, frozenset(self._positions)
                    client.assign(list(assigned))
                    for partition, offset in self._positions.items():
                        client.seek(partition, offset)
                if not assigned:
                    await asyncio.sleep(_FETCH_WAIT_MS / 1000)
                    continue
                for partition, records in (await client.getmany(timeout_ms=_FETCH_WAIT_MS)).items():
                    if partition in self._positions:
                        for record in records:
                            self._deliver(record)
                        self._positions[partition] = records[-1].offset + 1
                await self._skip_to_ends(client)
                self._announce()

    async def _find(self, client: AIOKafkaConsumer) -> None:
        """Look up the begin and the present end of newly followed partitions."""
        for partition, (since_ms, caught_up) in list(self._wanted.items()):
            # the end before the begin, so that records written in between are read
            end = (await client.end_offsets([partition]))[partition]
            begin = (await client.offsets_for_times({partition: since_ms}))[partition]
            if self._wanted.get(partition) == (since_ms, caught_up):  # still followed
                self._positions[partition] = end if begin is None else begin.offset
                self._ends[partition] = (end, caught_up)
                self._moved = True
                del self._wanted[partition]
        self._announce()

    async def _skip_to_ends(self, client: AIOKafkaConsumer) -> None:
        """Move over offsets without a record: after a transaction's marker no record may follow for a long time."""
        for partition in self._ends.keys() & self._positions.keys() & client.assignment():
            position = await client.position(partition)
            if not self._moved and partition in self._positions:
                self._positions[partition] = max(position, self._positions[partition])

    def _announce(self) -> None:
        for partition, (end, caught_up) in list(self._ends.items()):
            if self._positions.get(partition, 0) >= end:
                del self._ends[partition]
                if not caught_up.done():
                    caught_up.set_result(None)
