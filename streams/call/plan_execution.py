"""Execution state of one request's plan: the attempts so far, and the event that is not written yet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from schemas.events.catalog import AttemptFinished, RequestRouted
from schemas.events.parts import Failure, Plan
from schemas.events.vocabulary import ErrorType, Lane
from schemas.json_types import JsonObject
from schemas.kafka.records import ProducerRecord
from streams.call.idempotency.claims import InDoubt, Unclaimed
from streams.call.idempotency.fingerprint import fingerprint
from streams.call.request_body import parse_body
from streams.call.retry import AttemptFailure
from streams.call.traffic.rate_limit import RequestCost, estimate_cost
from streams.pipeline.failures import to_failure
from streams.pipeline.stage import Emit


@dataclass(slots=True)
class PlanExecution:
    """Progress of a request along its plan."""

    routed: RequestRouted
    body: JsonObject
    partition: int
    emit: Emit
    fingerprint: str = ""
    """Fingerprint of the body, if the caller named its request."""
    attempts: tuple[AttemptFinished, ...] = ()
    failures: list[AttemptFailure] = field(default_factory=list)
    """The failed attempts, those in doubt and the skipped targets, as ``next_step`` takes them."""
    unwritten: tuple[ProducerRecord, ...] = ()
    """The last ``AttemptFinished``, not written yet."""
    chunks_forwarded: int = 0
    """Chunks that the caller may have seen."""

    @property
    def stream_topic(self) -> str:
        """Topic for the chunks; empty if the answer is not streamed."""
        return self.routed.request.stream_topic

    @property
    def last_failure(self) -> Failure:
        """Failure to report to the caller for the last attempt, which must have failed."""
        last = self.failures[-1]
        return to_failure(last.error_type, last.message, last.retry_after_s, last.param)

    @property
    def request_id(self) -> str:
        """Id of the request."""
        return self.routed.request.request_id

    @property
    def lane(self) -> Lane:
        """Lane of the request."""
        return self.routed.request.lane

    @property
    def deadline_s(self) -> float:
        """Deadline of the request in seconds since the epoch."""
        return self.routed.request.deadline_at / 1000

    @property
    def next_attempt(self) -> int:
        """Number of the next attempt, from 1."""
        return 1 + sum(1 for failure in self.failures if not failure.skipped)

    @property
    def is_answered(self) -> bool:
        """True once an attempt was answered."""
        return bool(self.attempts) and self.attempts[-1].error_type is None

    @property
    def cost(self) -> RequestCost:
        """Estimated cost of a call against the provider's limits."""
        return estimate_cost(len(self.routed.body), self.body)

    def record_attempt(self, target_index: int, attempt: AttemptFinished, output: ProducerRecord) -> None:
        """Record how the attempt at a target ended."""
        self.attempts = (*self.attempts, attempt)
        self.unwritten = (output,)
        if attempt.error_type is not None:
            self.failures.append(_attempt_failure(target_index, attempt))

    def skip_target(self, target_index: int, reason: ErrorType, retry_after_s: float) -> None:
        """Record why a target was not called, and after how many seconds it may be."""
        self.failures.append(AttemptFailure(target_index, reason, retry_after_s=retry_after_s, skipped=True))


def start(routed: RequestRouted, partition: int, emit: Emit, claim: Unclaimed | InDoubt) -> PlanExecution:
    """Start a plan, or resume it after the attempts that the claim knows.

    Raises:
        DeadLetterError: the body is not a JSON object.

    """
    body = parse_body(routed)
    failures = list(_earlier_failures(routed.plan, claim.attempts))
    if isinstance(claim, InDoubt):
        last_index = failures[-1].target_index if failures else 0
        target_index = _target_index(routed.plan, last_index, claim.started.provider, claim.started.model)
        failures += [AttemptFailure(target_index, "timeout")] * (claim.started.attempt - len(failures))
    return PlanExecution(routed, body, partition, emit, fingerprint(routed, body), claim.attempts, failures)


def _earlier_failures(plan: Plan, attempts: tuple[AttemptFinished, ...]) -> Iterator[AttemptFailure]:
    """Find the targets of attempts read from the log. A plan never goes back to an earlier target."""
    target_index = 0
    for attempt in attempts:
        target_index = _target_index(plan, target_index, attempt.provider, attempt.model)
        yield _attempt_failure(target_index, attempt)


def _target_index(plan: Plan, first: int, provider: str, model: str) -> int:
    """Return the index of a target from ``first`` on; ``first`` if the plan does not have the target any more."""
    for index in range(first, len(plan.targets)):
        if (plan.targets[index].provider, plan.targets[index].model) == (provider, model):
            return index
    return first


def _attempt_failure(target_index: int, attempt: AttemptFinished) -> AttemptFailure:
    retry_after_ms = attempt.retry_after_ms
    return AttemptFailure(
        target_index,
        attempt.error_type or "server",
        attempt.error_message,
        None if retry_after_ms is None else retry_after_ms / 1000,
        attempt.error_param,
        retry_with_other_key=attempt.another_key,
    )
