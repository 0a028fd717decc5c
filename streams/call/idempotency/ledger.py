"""Request ledger: joins the claims in memory, the records of other workers and the lookup of the day's answers."""

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
from streams.call.idempotency import worker_id
from streams.call.idempotency.answer_lookup import AnswerLookup
from streams.call.idempotency.claims import Claims, Completed, InDoubt, InProgress, Unclaimed
from streams.pipeline.failures import IN_DOUBT

log = structlog.get_logger()

POLL_INTERVAL_S = 1.0
"""Interval of the check whether the worker of an attempt has exited, after which the attempt is in doubt."""
CLOCK_SKEW_MS = 60_000
"""Maximum difference between the clocks of two machines at which no attempt is overlooked."""

Follow = Callable[[Callable[[ConsumerRecord], None]], TopicFollower]
"""Creates a follower that passes its records to a function."""


class RequestLedger:
    """State of the requests in the partitions of one call worker.

    Args:
        worker: id of this worker.
        clock: seconds since the epoch.
        topics: of the log.
        follow: creates a follower of the log; None in tests without Kafka.
        answer_lookup: finds recorded answers to named requests.

    """

    def __init__(
        self,
        worker: str,
        clock: Callable[[], float],
        topics: Topics,
        follow: Follow | None = None,
        answer_lookup: AnswerLookup | None = None,
    ) -> None:
        self.claims = Claims(is_dead=worker_id.is_dead)
        self._worker = worker.encode()
        self._clock = clock
        self._follower = follow(self._observe) if follow is not None else None
        self._attempts, self._outcomes = topics.attempts.name, topics.outcomes.name
        self._answer_lookup = answer_lookup
        self._since: dict[int, int] = {}
        """Time in milliseconds from which each partition has been read."""

    async def claim(self, request: Request, partition: int) -> Unclaimed | Completed | InDoubt:
        """Return the state of a request once no other call for it is in progress.

        The caller may claim an unclaimed request if it does so before it awaits anything.
        """
        lookup = self._answer_lookup if is_named(request.request_id) else None
        while True:
            claim = self.claims.lookup(request.request_id, int(self._clock() * 1000))
            if isinstance(claim, InProgress):
                await self._wait(claim)
            elif isinstance(claim, Completed) and _is_new_try(request, claim.end):
                return Unclaimed(claim.end.attempts)
            elif lookup is None or not isinstance(claim, Unclaimed):
                return claim
            elif end := await lookup.find(request, partition):
                return Completed(end)
            else:
                lookup = None  # and check the claims again: the request may have been claimed meanwhile

    async def catch_up(self, partition: int, since_ms: int) -> None:
        """Read the attempts and ends of other workers from a time on. Older answers are indexed beside the calls.

        The lanes have first records of different ages: the partition is read from the earlier one on.

        Args:
            partition: assigned to this worker.
            since_ms: milliseconds since the epoch, by the clock of any worker.

        """
        start_ms = since_ms - CLOCK_SKEW_MS
        known_ms = self._since.get(partition)
        if known_ms is not None and known_ms <= start_ms:  # read already for the other lane, whose records are older
            return
        self._since[partition] = start_ms
        if self._answer_lookup is not None and known_ms is None:
            self._answer_lookup.index_partition(partition, start_ms)
        if self._follower is not None:
            await self._follower.follow(self._attempts, partition, start_ms)
            await self._follower.follow(self._outcomes, partition, start_ms)
            self._follower.leave(self._outcomes, partition)  # from now on no other worker settles these requests

    def forget(self, partition: int) -> None:
        """Forget a partition that was revoked."""
        self._since.pop(partition, None)
        self.claims.revoke(partition)
        if self._follower is not None:
            self._follower.leave(self._attempts, partition)
            self._follower.leave(self._outcomes, partition)
        if self._answer_lookup is not None:
            self._answer_lookup.forget(partition)

    async def close(self) -> None:
        """Stop reading the log, and disconnect."""
        if self._follower is not None:
            await self._follower.stop()
        if self._answer_lookup is not None:
            await self._answer_lookup.stop()

    async def _wait(self, claim: InProgress) -> None:
        timeout_s = None
        if claim.expires_at is not None:
            timeout_s = min(claim.expires_at / 1000 - self._clock(), POLL_INTERVAL_S)
        await asyncio.wait({claim.done}, timeout=timeout_s)

    def _observe(self, record: ConsumerRecord) -> None:
        """Apply an outcome, or an attempt of another worker. Own attempts only add their offset to the answer index."""
        if self._answer_lookup is not None and record.topic == self._attempts:
            self._answer_lookup.observe(record)
        if self._worker in (record.value or b"") and record.topic == self._attempts:
            return
        try:
            self.claims.observe(record)
        except UndecodableError as error:
            log.warning("record.unreadable", record=record.position, reason=str(error))


def _is_new_try(request: Request, end: RequestEnd) -> bool:
    """Return whether a caller retries a request without an answer whose body this worker does not know.

    Such an end only applies to a redelivery, because a request of the same name may have another body. A failure in
    doubt applies to any body: the caller must not pay twice for what may have been done.
    """
    if end.failure is not None and end.failure.code == IN_DOUBT.code:
        return False
    return end.outcome != "answered" and not end.fingerprint and is_client_retry(request, end.request)
