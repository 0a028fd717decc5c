"""One request on its way along its plan: what has been tried, and what is not yet on the log."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from schemas.events.catalog import AttemptFinished, RequestRouted
from schemas.events.parts import Failure, Plan
from schemas.events.vocabulary import ErrorType, Lane
from schemas.kafka.records import ProducerRecord
from streams.call.idempotency.claims import InDoubt, Unclaimed
from streams.call.idempotency.fingerprint import fingerprint
from streams.call.request_body import body_for_target
from streams.call.retry import AttemptFailure
from streams.call.traffic.rate_limit import RequestCost, estimate_cost
from streams.pipeline.failures import to_failure
from streams.pipeline.stage import Emit


@dataclass(slots=True)
class PlanExecution:
    """Where a request stands."""

    routed: RequestRouted
    body: dict[str, Any]
    partition: int
    emit: Emit
    fingerprint: str = ""
    """A fingerprint of what is asked, if the caller named its request."""
    attempts: tuple[AttemptFinished, ...] = ()
    failures: list[AttemptFailure] = field(default_factory=list)
    """The same and those whose end nobody knows, as ``next_step`` wants it."""
    unwritten: tuple[ProducerRecord, ...] = ()
    """The last attempt's end, not yet on the log."""

    chunks_forwarded: int = 0
    """Chunks that the caller may have seen."""

    @property
    def stream_topic(self) -> str:
        """Where chunks go; empty if the answer is wanted whole."""
        return self.routed.request.stream_topic

    @property
    def last_failure(self) -> Failure:
        """How the last attempt is told to the caller. There must have been one that failed."""
        last = self.failures[-1]
        return to_failure(last.error_type, last.message, last.retry_after_s, last.param)

    @property
    def request_id(self) -> str:
        """Whose way it is."""
        return self.routed.request.request_id

    @property
    def lane(self) -> Lane:
        """Who goes first: see ``schemas.events``."""
        return self.routed.request.lane

    @property
    def deadline_s(self) -> float:
        """Seconds since the epoch."""
        return self.routed.request.deadline_at / 1000

    @property
    def next_attempt(self) -> int:
        """Of the next attempt, from 1."""
        return 1 + sum(1 for attempt in self.failures if not attempt.skipped)

    @property
    def is_answered(self) -> bool:
        """Whether the end of the way is reached."""
        return bool(self.attempts) and self.attempts[-1].error_type is None

    def record_attempt(self, place: int, attempt: AttemptFinished, output: ProducerRecord) -> None:
        """Note how the attempt at the target of this place ended."""
        self.attempts = (*self.attempts, attempt)
        self.unwritten = (output,)
        if attempt.error_type is not None:
            self.failures.append(_to_failure(place, attempt))

    @property
    def cost(self) -> RequestCost:
        """What a call takes of a provider's limits, guessed."""
        return estimate_cost(len(self.routed.body), self.body)

    def skip_target(self, place: int, reason: ErrorType, retry_after_s: float) -> None:
        """Note why the target of this place was not called, and after how many seconds it may be."""
        self.failures.append(AttemptFailure(place, reason, retry_after_s=retry_after_s, skipped=True))


def start(routed: RequestRouted, partition: int, emit: Emit, claim: Unclaimed | InDoubt) -> PlanExecution:
    """Start, or go on where another worker, or this one before, has stopped.

    Raises:
        DeadLetterError: the body is not a JSON object.

    """
    body = body_for_target(routed)
    tried = list(_earlier_failures(routed.plan, claim.attempts))
    if isinstance(claim, InDoubt):
        place = tried[-1].target if tried else 0
        place = _target_index(routed.plan, place, claim.started.provider, claim.started.model)
        tried += [AttemptFailure(place, "timeout")] * (claim.started.attempt - len(tried))
    return PlanExecution(routed, body, partition, emit, fingerprint(routed, body), claim.attempts, tried)


def _earlier_failures(plan: Plan, attempts: tuple[AttemptFinished, ...]) -> Iterator[AttemptFailure]:
    """Find the place in the plan of attempts that are known from the log, which never go back."""
    place = 0
    for attempt in attempts:
        place = _target_index(plan, place, attempt.provider, attempt.model)
        yield _to_failure(place, attempt)


def _target_index(plan: Plan, start: int, provider: str, model: str) -> int:
    later = range(start, len(plan.targets))
    found = (place for place in later if (plan.targets[place].provider, plan.targets[place].model) == (provider, model))
    return next(found, start)


def _to_failure(place: int, attempt: AttemptFinished) -> AttemptFailure:
    hint = attempt.retry_after_ms
    hint_s = None if hint is None else hint / 1000
    return AttemptFailure(
        place,
        attempt.error_type or "server",
        attempt.error_message,
        hint_s,
        attempt.error_param,
        retry_with_other_key=attempt.another_key,
    )
