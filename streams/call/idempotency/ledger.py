"""What a call worker knows of its requests: from its own work, from the log as it goes on, and from a day back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from connectors.kafka.clients.follower import TopicFollower
from schemas.avro.codec import UndecodableError
from schemas.events.parts import Request
from schemas.events.request_id import is_named
from schemas.kafka.records import ConsumerRecord
from schemas.kafka.topics import Topics
from streams.call.attempts import RequestEnd, is_client_retry
from streams.call.idempotency import worker_id as incarnation
from streams.call.idempotency.answer_lookup import AnswerLookup
from streams.call.idempotency.claims import Claims, Completed, InDoubt, InProgress, Unclaimed

log = structlog.get_logger()

POLL_INTERVAL_S = 1.0
"""How often to look whether the worker that another call runs in is gone meanwhile: then nothing comes of it."""
CLOCK_SKEW_MS = 60_000
"""How far the clocks of two machines may be apart without an attempt being overlooked."""

Follow = Callable[[Callable[[ConsumerRecord], None]], TopicFollower]
"""Makes a follower that hands its records on."""


class RequestLedger:
    """The claims, kept up with the log; the answers of a day behind them."""

    def __init__(
        self,
        worker: str,
        clock: Callable[[], float],
        topics: Topics,
        follow: Follow | None = None,
        recall: AnswerLookup | None = None,
    ) -> None:
        self.claims = Claims(gone=incarnation.is_dead)
        self._worker = worker.encode()
        self._clock = clock
        self._follower = follow(self._observe) if follow is not None else None
        self._attempts, self._outcomes = topics.attempts.name, topics.outcomes.name
        self._answers = recall
        self._since: dict[int, int] = {}

    async def claim(self, request: Request, partition: int) -> Unclaimed | Completed | InDoubt:
        """Say how it stands with a request, once it is not under way elsewhere. What is fresh may be taken at once."""
        recall = self._answers if is_named(request.request_id) else None
        while True:
            claim = self.claims.lookup(request.request_id, int(self._clock() * 1000))
            if isinstance(claim, InProgress):
                await self._wait(claim)
            elif isinstance(claim, Completed) and _is_new_try(request, claim.end):
                return Unclaimed(claim.end.attempts)
            elif recall is None or not isinstance(claim, Unclaimed):
                return claim
            elif end := await recall.find(request, partition):
                return Completed(end)
            else:
                recall = None  # and look again: meanwhile somebody may be at it

    async def catch_up(self, partition: int, since_ms: int) -> None:
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
        if self._answers is not None and known_ms is None:
            self._answers.index_partition(partition, begin_ms)
        if self._follower is not None:
            await self._follower.follow(self._attempts, partition, begin_ms)
            await self._follower.follow(self._outcomes, partition, begin_ms)
            self._follower.leave(self._outcomes, partition)  # from now on no other worker writes an end there

    def forget(self, partition: int) -> None:
        """Let go of a partition that another worker has now."""
        self._since.pop(partition, None)
        self.claims.revoke(partition)
        if self._follower is not None:
            self._follower.leave(self._attempts, partition)
            self._follower.leave(self._outcomes, partition)
        if self._answers is not None:
            self._answers.forget(partition)

    async def close(self) -> None:
        """Learn nothing more, and disconnect."""
        if self._follower is not None:
            await self._follower.stop()
        if self._answers is not None:
            await self._answers.stop()

    async def _wait(self, claim: InProgress) -> None:
        left_s = None if claim.until is None else min(claim.until / 1000 - self._clock(), POLL_INTERVAL_S)
        await asyncio.wait({claim.done}, timeout=left_s)

    def _observe(self, record: ConsumerRecord) -> None:
        """Take in an attempt of another worker, of our own we know all but its place on the log; or an end."""
        if self._answers is not None and record.topic == self._attempts:
            self._answers.observe(record)
        if self._worker in (record.value or b"") and record.topic == self._attempts:
            return
        try:
            self.claims.observe(record)
        except UndecodableError as error:
            place = f"{record.topic}/{record.partition}/{record.offset}"
            log.warning("record is unreadable", record=place, reason=str(error))


def _is_new_try(request: Request, end: RequestEnd) -> bool:
    """Whether a caller asks again for what failed, and this worker knows no more of it than that: not what was asked.

    Such an end is the log's redelivery's alone. It may be that of another question under the same name.
    """
    return end.outcome != "answered" and not end.fingerprint and is_client_retry(request, end.request)
