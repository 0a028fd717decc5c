"""Who is calling a provider for which request, and how it ended: what keeps a redelivery from being paid for twice.

Kept in memory, from two sources: what this worker does itself, and what ``observe`` reads from ``llm.attempts.v1``,
whose partitions are those of the requests. Bounded in bytes and time. What a caller may ask for again is found for
longer, on the log: see ``streams.call.idempotency.answer_lookup``.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from schemas.avro.codec import decode
from schemas.codegen.frozen_dataclass import frozen_slots
from schemas.events.catalog import AttemptFinished, AttemptStarted, AttemptWithdrawn, RequestSettled
from schemas.kafka.records import ConsumerRecord
from streams.call.attempts import RequestEnd
from streams.call.idempotency.fingerprint import fingerprint_of

MAX_BYTES = 64 * 1024 * 1024
TTL_S = 900.0
ENTRY_OVERHEAD_BYTES = 1000
"""About what it takes to remember a request without its answer."""


@frozen_slots
class Unclaimed:
    """Nobody is at it. ``attempts`` have failed already."""

    attempts: tuple[AttemptFinished, ...] = ()


@frozen_slots
class InProgress:
    """Somebody is at it: wait for ``done``, then look again."""

    done: asyncio.Future[None]
    until: int | None = None
    """Milliseconds since the epoch; None if it runs in this worker, where ``done`` comes for certain."""


@frozen_slots
class Completed:
    """It has had its end."""

    end: RequestEnd


@frozen_slots
class InDoubt:
    """Another worker started this attempt, its time is over, and nobody knows what became of it."""

    started: AttemptStarted
    attempts: tuple[AttemptFinished, ...] = ()


Claim = Unclaimed | InProgress | Completed | InDoubt


@dataclass(slots=True, eq=False)
class _Entry:
    """What is known about one request."""

    partition: int
    touched: float
    lost: bool = False
    end: RequestEnd | None = None
    open: AttemptStarted | None = None
    attempts: tuple[AttemptFinished, ...] = ()
    done: asyncio.Future[None] | None = None

    @property
    def size(self) -> int:
        return ENTRY_OVERHEAD_BYTES + (self.end.size if self.end is not None else 0)

    def knows(self, event: AttemptStarted | AttemptFinished) -> bool:
        """Whether the end of this attempt has been told already: the log may be read again from further back."""
        return any((known.attempt, known.worker) == (event.attempt, event.worker) for known in self.attempts)

    def wait(self) -> asyncio.Future[None]:
        if self.done is None:
            self.done = asyncio.get_running_loop().create_future()
        return self.done

    def wake(self) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(None)
        self.done = None


class Claims:
    """The requests of one worker: those that run here, and those that are remembered."""

    def __init__(
        self,
        limit_bytes: int = MAX_BYTES,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
        gone: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._limit = limit_bytes
        self._ttl = ttl_s
        self._clock = clock
        self._is_dead = gone
        self._running: dict[str, _Entry] = {}
        self._idle: OrderedDict[str, _Entry] = OrderedDict()
        self._bytes = 0

    def lookup(self, request_id: str, now: int) -> Claim:
        """Say how it stands with a request at ``now``, in milliseconds since the epoch."""
        if request_id in self._running:
            return InProgress(self._running[request_id].wait())
        entry = self._idle.get(request_id)
        if entry is None:
            return Unclaimed()
        if entry.end is not None:
            return Completed(entry.end)
        if entry.open is None:
            return Unclaimed(entry.attempts)
        if now < entry.open.expires_at and not self._is_dead(entry.open.worker):
            return InProgress(entry.wait(), entry.open.expires_at)
        return InDoubt(entry.open, entry.attempts)

    # --- what this worker does

    def claim(self, request_id: str, partition: int) -> None:
        """Begin with a request in this worker; ``release`` must follow, whatever happens."""
        entry = self._forget(request_id)
        attempts = entry.attempts if entry is not None else ()
        self._running[request_id] = _Entry(partition, self._clock(), attempts=attempts)
        if entry is not None:
            entry.wake()

    def release(
        self, request_id: str, end: RequestEnd | None = None, attempts: tuple[AttemptFinished, ...] = ()
    ) -> None:
        """Leave a request, and wake those who wait for it.

        Args:
            request_id: whose.
            end: remembered from now on; without one, the next who looks goes on after ``attempts``.
            attempts: those that have failed.

        """
        entry = self._running.pop(request_id)
        entry.end, entry.attempts = end, attempts
        entry.wake()
        if end is not None or attempts:
            self._keep(request_id, entry)

    def is_revoked(self, request_id: str) -> bool:
        """Whether the request's partition has gone to another worker since ``take``."""
        return self._running[request_id].lost

    def revoke(self, partition: int) -> None:
        """Stop following a partition that another worker has now.

        What runs ends its call, and starts no other. Ends stay remembered: the partition may come back.
        """
        for entry in self._running.values():
            entry.lost |= entry.partition == partition
        for request_id, entry in list(self._idle.items()):
            if entry.partition == partition and entry.end is None:
                entry.wake()
                self._forget(request_id)

    # --- what the log says

    def observe(self, record: ConsumerRecord) -> None:
        """Take in a record of ``llm.attempts.v1`` or of ``llm.outcomes.v1``, in the log's order.

        Raises:
            UndecodableError: it is no event.

        """
        event = decode(record.value or b"")
        if isinstance(event, AttemptStarted):
            self.on_started(event, record.partition)
        elif isinstance(event, AttemptFinished):
            self.on_finished(event, record.partition, fingerprint_of(record))
        elif isinstance(event, AttemptWithdrawn):
            self.on_withdrawn(event)
        elif isinstance(event, RequestSettled) and not event.replayed:
            self.on_settled(event, record.partition)

    def on_started(self, event: AttemptStarted, partition: int) -> None:
        """Take in that some worker is about to call; of what runs or ended here we know better ourselves."""
        entry = self._entry_of(event.request.request_id, partition)
        if entry is not None and not entry.knows(event):
            entry.open = event

    def on_finished(self, event: AttemptFinished, partition: int, asked: str = "") -> None:
        """Take in how an attempt ended; an answer, to what was ``asked``, is the request's end."""
        request_id = event.request.request_id
        entry = self._entry_of(request_id, partition)
        if entry is None or entry.knows(event):
            return
        self._forget(request_id)
        if entry.open is None or entry.open.attempt <= event.attempt:
            entry.open = None
        entry.attempts = tuple(sorted((*entry.attempts, event), key=lambda attempt: attempt.attempt))
        if event.error_type is None:
            entry.end = RequestEnd(event.request, "answered", None, entry.attempts, event.finished_at, asked)
        entry.wake()
        self._keep(request_id, entry)

    def on_withdrawn(self, event: AttemptWithdrawn) -> None:
        """Take in that an attempt was not made: who waits for its end need not."""
        entry = self._idle.get(event.request.request_id)
        if entry is not None and entry.open is not None and entry.open.worker == event.worker:
            entry.open = None
            entry.wake()

    def on_settled(self, event: RequestSettled, partition: int) -> None:
        """Take in that a request has ended without an answer; of an answer its attempt tells."""
        entry = self._entry_of(event.request.request_id, partition)
        if entry is None or event.outcome == "answered":
            return
        self._forget(event.request.request_id)
        entry.open = None
        entry.end = RequestEnd(event.request, event.outcome, event.failure, entry.attempts, event.settled_at)
        entry.wake()
        self._keep(event.request.request_id, entry)

    def _entry_of(self, request_id: str, partition: int) -> _Entry | None:
        if request_id in self._running:
            return None
        entry = self._idle.get(request_id)
        if entry is None:
            entry = _Entry(partition, self._clock())
            self._keep(request_id, entry)
        return entry if entry.end is None else None

    # --- memory

    def _keep(self, request_id: str, entry: _Entry) -> None:
        """Remember as the newest; forget the oldest as far as it is too old or all of it is too much."""
        entry.touched = self._clock()
        self._idle[request_id] = entry
        self._bytes += entry.size
        horizon = entry.touched - self._ttl
        while self._idle:
            oldest, other = next(iter(self._idle.items()))
            if self._bytes <= self._limit and other.touched >= horizon:
                return
            other.wake()
            self._forget(oldest)

    def _forget(self, request_id: str) -> _Entry | None:
        entry = self._idle.pop(request_id, None)
        if entry is not None:
            self._bytes -= entry.size
        return entry
