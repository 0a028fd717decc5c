"""Follow partitions that come and go, from a point in time to the end and on: how a stage learns what others did."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from connectors.kafka.connection import KafkaAddress, client_settings
from schemas.kafka.records import ConsumerRecord

log = structlog.get_logger()

_LOOK_MS = 200
"""How long a change of partitions may wait for a fetch that is under way, and a record for the next one."""
_PATIENT_BYTES = 256 * 1024
"""Once caught up, a fetch comes back with so much, or after the time above: for each record it would cost more than the
call that wrote it."""
_AGAIN_S = 0.5


class TopicFollower:
    """Reads some partitions, without a group, and hands every record on, those of a partition in the log's order."""

    def __init__(self, bootstrap: KafkaAddress, deliver: Callable[[ConsumerRecord], None]) -> None:
        self._bootstrap = bootstrap
        self._deliver = deliver
        self._positions: dict[TopicPartition, int] = {}
        self._wanted: dict[TopicPartition, tuple[int, asyncio.Future[None]]] = {}
        self._ends: dict[TopicPartition, tuple[int, asyncio.Future[None]]] = {}
        self._moved = False
        """Whether a partition is to be read from elsewhere than where the client stands."""
        self._task: asyncio.Task[None] | None = None

    async def follow(self, topic: str, partition: int, since_ms: int) -> None:
        """Read a partition from this time on; returns when all that is on it now has been handed on.

        One that is followed already is read again from there.
        Waits while Kafka is away: what is not known can't be acted on.
        """
        caught_up = asyncio.get_running_loop().create_future()
        self._wanted[TopicPartition(topic, partition)] = (since_ms, caught_up)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        await asyncio.wait([caught_up, self._task], return_when=asyncio.FIRST_COMPLETED)
        if not caught_up.done():
            self._task.result()  # it never ends by itself: this raises what broke it

    def leave(self, topic: str, partition: int) -> None:
        """Read this partition no more; whoever still waits for it need not."""
        place = TopicPartition(topic, partition)
        self._positions.pop(place, None)
        for waiting in (self._wanted, self._ends):
            _, caught_up = waiting.pop(place, (0, None))
            if caught_up is not None and not caught_up.done():
                caught_up.set_result(None)

    async def stop(self) -> None:
        """Read nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Read on until stopped, with a new client after every failure."""
        while True:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await self._read()
            log.warning("following again", topics=sorted({place.topic for place in self._positions}))
            await asyncio.sleep(_AGAIN_S)

    async def _read(self) -> None:
        async with AIOKafkaConsumer(
            **client_settings(self._bootstrap),
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            fetch_max_wait_ms=_LOOK_MS,
        ) as client:
            assigned: frozenset[TopicPartition] = frozenset()
            while True:
                hurries = self._wanted or self._ends
                client._fetcher._fetch_min_bytes = 1 if hurries else _PATIENT_BYTES  # noqa: SLF001 - no setting can change
                await self._find(client)
                if self._moved or assigned != frozenset(self._positions):
                    self._moved, assigned = False, frozenset(self._positions)
                    client.assign(list(assigned))
                    for place, offset in self._positions.items():
                        client.seek(place, offset)
                if not assigned:
                    await asyncio.sleep(_LOOK_MS / 1000)
                    continue
                for place, records in (await client.getmany(timeout_ms=_LOOK_MS)).items():
                    if place in self._positions:
                        for record in records:
                            self._deliver(record)
                        self._positions[place] = records[-1].offset + 1
                self._announce()

    async def _find(self, client: AIOKafkaConsumer) -> None:
        """Find where to begin with the partitions that were asked for, and how far they go now."""
        for place, (since_ms, caught_up) in list(self._wanted.items()):
            end = (await client.end_offsets([place]))[place]  # first, so that what comes between the two is read
            begin = (await client.offsets_for_times({place: since_ms}))[place]
            if self._wanted.get(place) == (since_ms, caught_up):  # not left meanwhile
                self._positions[place] = end if begin is None else begin.offset
                self._ends[place] = (end, caught_up)
                self._moved = True
                del self._wanted[place]
        self._announce()

    def _announce(self) -> None:
        for place, (end, caught_up) in list(self._ends.items()):
            if self._positions.get(place, 0) >= end:
                del self._ends[place]
                if not caught_up.done():
                    caught_up.set_result(None)
