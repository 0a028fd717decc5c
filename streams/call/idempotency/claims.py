"""Claims on requests: which worker calls a provider, what a crash left in doubt, and how the request ended.

They keep a redelivery from being paid for twice. They are kept in memory, from two sources: this worker's own calls,
and the records of ``llm.attempts.v1`` and ``llm.outcomes.v1`` passed to ``observe``, which have the partitions of their
requests. Bounded in bytes and age. Answers to named requests are found for longer, on the log: see
``streams.call.idempotency.answer_lookup``.
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
STATE_OVERHEAD_BYTES = 1000
"""Approximate memory of a request without its answer."""


@frozen_slots
class Unclaimed:
    """No worker calls a provider for the request. ``attempts`` have failed already."""

    attempts: tuple[AttemptFinished, ...] = ()


@frozen_slots
class InProgress:
    """A worker calls a provider for the request: wait for ``done``, then look it up again."""

    done: asyncio.Future[None]
    expires_at: int | None = None
    """Milliseconds since the epoch; None if the request runs in this worker, where ``done`` is always set."""


@frozen_slots
class Completed:
    """The request has ended."""

    end: RequestEnd


@frozen_slots
class InDoubt:
    """Another worker started this attempt, which has expired with an unknown result."""

    started: AttemptStarted
    attempts: tuple[AttemptFinished, ...] = ()


Claim = Unclaimed | InProgress | Completed | InDoubt


@dataclass(slots=True, eq=False)
class _RequestState:
    """State of one request."""

    partition: int
    updated_s: float
    is_revoked: bool = False
    end: RequestEnd | None = None
    open_attempt: AttemptStarted | None = None
    attempts: tuple[AttemptFinished, ...] = ()
    done: asyncio.Future[None] | None = None

    @property
    def size(self) -> int:
        return STATE_OVERHEAD_BYTES + (self.end.size if self.end is not None else 0)

    def has_finished(self, event: AttemptStarted | AttemptFinished) -> bool:
        """Return whether the end of this attempt is known already: the log may be read again from further back."""
        return any((known.attempt, known.worker) == (event.attempt, event.worker) for known in self.attempts)

    def done_future(self) -> asyncio.Future[None]:
        if self.done is None:
            self.done = asyncio.get_running_loop().create_future()
        return self.done

    def notify(self) -> None:
        if self.done is not None and not self.done.done():
            self.done.set_result(None)
        self.done = None


class Claims:
    """Requests known to one worker: those that it runs, and those that are idle or run elsewhere.

    Args:
        max_bytes: approximate memory for the requests that do not run here.
        ttl_s: how long these are kept.
        clock: monotonic seconds.
        is_dead: whether a worker has certainly exited.

    """

    def __init__(
        self,
        max_bytes: int = MAX_BYTES,
        ttl_s: float = TTL_S,
        clock: Callable[[], float] = time.monotonic,
        is_dead: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._max_bytes = max_bytes
        self._ttl_s = ttl_s
        self._clock = clock
        self._is_dead = is_dead
        self._running: dict[str, _RequestState] = {}
        self._idle: OrderedDict[str, _RequestState] = OrderedDict()
        self._bytes = 0

    def lookup(self, request_id: str, now: int) -> Claim:
        """Return the claim on a request at ``now``, in milliseconds since the epoch."""
        if request_id in self._running:
            return InProgress(self._running[request_id].done_future())
        state = self._idle.get(request_id)
        if state is None:
            return Unclaimed()
        if state.end is not None:
            return Completed(state.end)
        if state.open_attempt is None:
            return Unclaimed(state.attempts)
        if now < state.open_attempt.expires_at and not self._is_dead(state.open_attempt.worker):
            return InProgress(state.done_future(), state.open_attempt.expires_at)
        return InDoubt(state.open_attempt, state.attempts)

    # --- claims of this worker

    def claim(self, request_id: str, partition: int) -> None:
        """Claim a request for this worker; ``release`` must follow in any case."""
        state = self._forget(request_id)
        attempts = state.attempts if state is not None else ()
        self._running[request_id] = _RequestState(partition, self._clock(), attempts=attempts)
        if state is not None:
            state.notify()

    def release(
        self, request_id: str, end: RequestEnd | None = None, attempts: tuple[AttemptFinished, ...] = ()
    ) -> None:
        """Release the claim on a request, and notify its waiters.

        Args:
            request_id: of the claimed request.
            end: its end, if it has one; otherwise the next claim continues after ``attempts``.
            attempts: those that have failed.

        """
        state = self._running.pop(request_id)
        state.end, state.attempts = end, attempts
        state.notify()
        if end is not None or attempts:
            self._keep(request_id, state)

    def is_revoked(self, request_id: str) -> bool:
        """Return whether the partition of a claimed request was revoked after ``claim``."""
        return self._running[request_id].is_revoked

    def revoke(self, partition: int) -> None:
        """Stop following a partition that was revoked.

        Running requests finish their call and start no other. Ends are kept, because the partition may come back.
        """
        for state in self._running.values():
            state.is_revoked |= state.partition == partition
        for request_id, state in list(self._idle.items()):
            if state.partition == partition and state.end is None:
                state.notify()
                self._forget(request_id)

    # --- records of other workers

    def observe(self, record: ConsumerRecord) -> None:
        """Apply a record of ``llm.attempts.v1`` or ``llm.outcomes.v1``, in the order of the log.

        Raises:
            UndecodableError: it is not an event.

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
        """Record that another worker starts a call. A request that runs or has ended here is left unchanged."""
        state = self._open_state(event.request.request_id, partition)
        if state is not None and not state.has_finished(event):
            state.open_attempt = event

    def on_finished(self, event: AttemptFinished, partition: int, fingerprint: str = "") -> None:
        """Record how an attempt ended; an answer is the end of its request, with the fingerprint of its body."""
        request_id = event.request.request_id
        state = self._open_state(request_id, partition)
        if state is None or state.has_finished(event):
            return
        self._forget(request_id)
        if state.open_attempt is None or state.open_attempt.attempt <= event.attempt:
            state.open_attempt = None
        state.attempts = tuple(sorted((*state.attempts, event), key=lambda attempt: attempt.attempt))
        if event.error_type is None:
            state.end = RequestEnd(event.request, "answered", None, state.attempts, event.finished_at, fingerprint)
        state.notify()
        self._keep(request_id, state)

    def on_withdrawn(self, event: AttemptWithdrawn) -> None:
        """Record that an attempt was not made, and notify its waiters."""
        state = self._idle.get(event.request.request_id)
        if state is not None and state.open_attempt is not None and state.open_attempt.worker == event.worker:
            state.open_attempt = None
            state.notify()

    def on_settled(self, event: RequestSettled, partition: int) -> None:
        """Record that a request has ended without an answer. An answer is recorded by its attempt."""
        state = self._open_state(event.request.request_id, partition)
        if state is None or event.outcome == "answered":
            return
        self._forget(event.request.request_id)
        state.open_attempt = None
        state.end = RequestEnd(event.request, event.outcome, event.failure, state.attempts, event.settled_at)
        state.notify()
        self._keep(event.request.request_id, state)

    def _open_state(self, request_id: str, partition: int) -> _RequestState | None:
        """Return the state of a request, new if necessary; None if the request runs here or has ended."""
        if request_id in self._running:
            return None
        state = self._idle.get(request_id)
        if state is None:
            state = _RequestState(partition, self._clock())
            self._keep(request_id, state)
        return state if state.end is None else None

    # --- memory

    def _keep(self, request_id: str, state: _RequestState) -> None:
        """Keep a state as the newest; evict the oldest ones while they are too old or use too many bytes."""
        state.updated_s = self._clock()
        self._idle[request_id] = state
        self._bytes += state.size
        oldest_allowed_s = state.updated_s - self._ttl_s
        while self._idle:
            oldest_id, oldest = next(iter(self._idle.items()))
            if self._bytes <= self._max_bytes and oldest.updated_s >= oldest_allowed_s:
                return
            oldest.notify()
            self._forget(oldest_id)

    def _forget(self, request_id: str) -> _RequestState | None:
        state = self._idle.pop(request_id, None)
        if state is not None:
            self._bytes -= state.size
        return state
