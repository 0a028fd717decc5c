"""What a call worker knows of its requests: from its own work, from the log as it goes on, and from a day back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from connectors.kafka.clients.follower import Follower
from schemas.avro.codec import UndecodableError
from schemas.events.parts import Request
from schemas.events.request_id import is_named
from schemas.kafka.records import Record
from schemas.kafka.topics import Topics
from streams.call.attempts import End, is_repeat
from streams.call.idempotency import worker_id as incarnation
from streams.call.idempotency.answer_lookup import Recall
from streams.call.idempotency.claims import Claims, Finished, Fresh, InDoubt, Running

log = structlog.get_logger()

LOOK_AGAIN_S = 1.0
"""How often to look whether the worker that another call runs in is gone meanwhile: then nothing comes of it."""
CLOCK_SKEW_MS = 60_000
"""How far the clocks of two machines may be apart without an attempt being overlooked."""

Follow = Callable[[Callable[[Record], None]], Follower]
"""Makes a follower that hands its records on."""


class Memory:
    """The claims, kept up with the log; the answers of a day behind them."""

    def __init__(
        self,
        worker: str,
        clock: Callable[[], float],
        topics: Topics,
        follow: Follow | None = None,
        recall: Recall | None = None,
    ) -> None:
        self.claims = Claims(gone=incarnation.gone)
        self._worker = worker.encode()
        self._clock = clock
        self._follower = follow(self._observe) if follow is not None else None
        self._attempts, self._outcomes = topics.attempts.name, topics.outcomes.name
        self._recall = recall
        self._since: dict[int, int] = {}

    async def claim(self, request: Request, partition: int) -> Fresh | Finished | InDoubt:
        """Say how it stands with a request, once it is not under way elsewhere. What is fresh may be taken at once."""
        recall = self._recall if is_named(request.request_id) else None
        while True:
            claim = self.claims.lookup(request.request_id, int(self._clock() * 1000))
            if isinstance(claim, Running):
                await self._wait(claim)
            elif isinstance(claim, Finished) and _is_tried_anew(request, claim.end):
                return Fresh(claim.end.attempts)
            elif recall is None or not isinstance(claim, Fresh):
                return claim
            elif end := await recall.end(request, partition):
                return Finished(end)
            else:
                recall = None  # and look again: meanwhile somebody may be at it

    async def learn(self, partition: int, since_ms: int) -> None:
        """Learn from the log what others have begun and ended since then; what is older, beside the work to come.

        Each lane has a first record of its own: the partition is learned from the earlier one on.

        Args:
            partition: one that this worker has now.
            since_ms: milliseconds since the epoch, by the clock of any worker.

        """
        begin_ms = since_ms - CLOCK_SKEW_MS
        known_ms = self._since.get(partition)
        if known_ms is not None and known_ms <= begin_ms:  # of the other lane, whose records are older
            return
        self._since[partition] = begin_ms
        if self._recall is not None and known_ms is None:
            self._recall.learn(partition, begin_ms)
        if self._follower is not None:
            await self._follower.follow(self._attempts, partition, begin_ms)
            await self._follower.follow(self._outcomes, partition, begin_ms)
            self._follower.leave(self._outcomes, partition)  # from now on no other worker writes an end there

    def leave(self, partition: int) -> None:
        """Let go of a partition that another worker has now."""
        self._since.pop(partition, None)
        self.claims.revoke(partition)
        if self._follower is not None:
            self._follower.leave(self._attempts, partition)
            self._follower.leave(self._outcomes, partition)
        if self._recall is not None:
            self._recall.leave(partition)

    async def close(self) -> None:
        """Learn nothing more, and disconnect."""
        if self._follower is not None:
            await self._follower.stop()
        if self._recall is not None:
            await self._recall.stop()

    async def _wait(self, claim: Running) -> None:
        left_s = None if claim.until is None else min(claim.until / 1000 - self._clock(), LOOK_AGAIN_S)
        await asyncio.wait({claim.done}, timeout=left_s)

    def _observe(self, record: Record) -> None:
        """Take in an attempt of another worker, of our own we know all but its place on the log; or an end."""
        if self._recall is not None and record.topic == self._attempts:
            self._recall.observe(record)
        if self._worker in (record.value or b"") and record.topic == self._attempts:
            return
        try:
            self.claims.observe(record)
        except UndecodableError as error:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            log.warning("record is unreadable", record=place, reason=str(error))


def _is_tried_anew(request: Request, end: End) -> bool:
    """Whether a caller asks again for what failed, and this worker knows no more of it than that: not what was asked.

    Such an end is the log's redelivery's alone. It may be that of another question under the same name.
    """
    return end.outcome != "answered" and not end.asked and is_repeat(request, end.request)
