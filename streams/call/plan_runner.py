"""Attempt loop: calls the targets of a plan until one answers, and records each attempt before and after the call."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable

import structlog

from connectors.providers.provider import ProviderAnswer, ProviderError
from schemas.events.catalog import AttemptFinished, AttemptStarted, RequestRouted
from schemas.events.parts import Failure, Target
from schemas.events.vocabulary import Outcome
from schemas.kafka.records import ProducerRecord
from schemas.kafka.topics import Topics
from streams.call.attempts import RequestEnd, to_finished_event, to_withdrawn_event, unwritable_errors
from streams.call.idempotency.claims import Claims, InDoubt, Unclaimed
from streams.call.idempotency.fingerprint import with_fingerprint
from streams.call.plan_execution import PlanExecution, start
from streams.call.pricing import PriceBook
from streams.call.provider_call import call_provider
from streams.call.retry import Fail, RetryAfter, next_step
from streams.call.traffic.load_balancing import order_by_load
from streams.call.traffic.target import Permit, Rejection
from streams.call.traffic.target_events import TargetEventPublisher
from streams.call.traffic.targets import TargetRegistry
from streams.pipeline.failures import EXPIRED
from streams.pipeline.producer_records import AttemptEvent, attempt_event_record
from streams.pipeline.stage import Emit, PartitionRevokedError

log = structlog.get_logger()


class PlanRunner:
    """Runs the attempts of claimed requests.

    Args:
        targets: the targets that this worker calls.
        target_events: publishes the state changes of the targets.
        claims: show whether another worker has taken over a request.
        prices: of all models.
        topics: where attempts are recorded.
        stage: name of the stage, the source of the events.
        worker: id of this worker.
        clock: seconds since the epoch.
        draw: uniform random number from 0 to 1, the jitter of the backoff.

    """

    def __init__(
        self,
        targets: TargetRegistry,
        target_events: TargetEventPublisher,
        claims: Claims,
        *,
        prices: PriceBook,
        topics: Topics,
        stage: str,
        worker: str,
        clock: Callable[[], float],
        draw: Callable[[], float],
    ) -> None:
        self._targets = targets
        self._target_events = target_events
        self._claims = claims
        self._prices = prices
        self._attempts_topic = topics.attempts
        self._dead_letter_topic = topics.outcomes.dead_letters
        self._stage = stage
        self._worker = worker
        self._clock = clock
        self._draw = draw

    def start(self, routed: RequestRouted, partition: int, emit: Emit, claim: Unclaimed | InDoubt) -> PlanExecution:
        """Prepare a request for ``run``; under the policy ``latency``, order its targets by their load first.

        Raises:
            DeadLetterError: the body is not a JSON object.

        """
        if routed.plan.policy == "latency":
            tried = [(attempt.provider, attempt.model) for attempt in claim.attempts]
            if isinstance(claim, InDoubt):
                tried.append((claim.started.provider, claim.started.model))
            plan = order_by_load(routed.plan, tried, lambda target: self._targets.get(target).load_score_s())
            routed = dataclasses.replace(routed, plan=plan)
        return start(routed, partition, emit, claim)

    async def run(self, execution: PlanExecution) -> RequestEnd | None:
        """Make attempts as ``next_step`` decides; return None once another worker has the request's partition."""
        plan = execution.routed.plan
        while not execution.is_answered:
            step = next_step(plan, execution.failures, self._clock(), execution.deadline_s, self._draw())
            if isinstance(step, Fail):
                return self._end(execution, step.failure)
            if execution.chunks_forwarded:  # the caller has seen part of this answer: a second one can't follow it
                return self._end(execution, execution.last_failure)
            if self._claims.is_revoked(execution.request_id):
                return None
            for output in execution.unwritten:
                await execution.emit(output)
            execution.unwritten = ()
            if isinstance(step, RetryAfter) and not self._stays_open(execution, step.target_index, step.delay_s):
                await asyncio.sleep(step.delay_s)
            if not await self._attempt(execution, step.target_index):
                return self._end(execution, EXPIRED)
        return self._end(execution, None)

    def _stays_open(self, execution: PlanExecution, target_index: int, delay_s: float) -> bool:
        """Return whether the target's circuit is still open after the delay: then the runner does not wait for it."""
        return self._targets.get(execution.routed.plan.targets[target_index]).retry_after_s() > delay_s

    async def _attempt(self, execution: PlanExecution, target_index: int) -> bool:
        """Call one target once, or skip it; return False if the deadline passed before there was a permit."""
        target = execution.routed.plan.targets[target_index]
        controller = self._targets.get(target)
        permit = await controller.acquire(execution.deadline_s - self._clock(), execution.cost, execution.lane)
        self._target_events.publish(execution.emit)
        if permit is None:
            return False
        if isinstance(permit, Rejection):
            execution.skip_target(target_index, permit.reason, permit.retry_after_s)
            return True
        result = None
        try:
            started = await self._record_start(execution, target, permit)
            timeout_s = (started.expires_at - self._now()) / 1000
            provider = controller.provider(execution.lane)
            result = await call_provider(provider, execution, started, timeout_s, self._dead_letter_topic)
        finally:
            controller.release(permit, result, target.timeout_ms / 1000)
            self._target_events.publish(execution.emit)
        finished, output = self._finish(execution, started, result)
        if not finished.error_type:
            output = with_fingerprint(output, execution.fingerprint)
        execution.record_attempt(target_index, finished, output)
        return True

    def _finish(
        self, execution: PlanExecution, started: AttemptStarted, result: ProviderAnswer | ProviderError
    ) -> tuple[AttemptFinished, ProducerRecord]:
        """Return the end of an attempt and its record: an error if the result can't be written."""
        for writable in (result, *unwritable_errors(result)):
            try:
                finished = to_finished_event(started, writable, self._now(), self._prices)
                return finished, self._attempt_record(finished, execution)
            except Exception as error:  # noqa: BLE001 - the result is the provider's, and may be anything
                log.error("attempt.unwritable", request_id=execution.request_id, error=type(error).__name__)
        raise RuntimeError("an attempt without any result can't be written")

    async def _record_start(self, execution: PlanExecution, target: Target, permit: Permit) -> AttemptStarted:
        """Write that the call starts. Withdraw the attempt if the partition was revoked meanwhile.

        Without the withdrawal the partition's new worker would wait for the end of a call that is never made.
        """
        started = self._started_event(execution, target, permit)
        try:
            await execution.emit(self._attempt_record(started, execution))
        except PartitionRevokedError as error:
            if error.already_written:
                await execution.emit(self._attempt_record(to_withdrawn_event(started, self._now()), execution))
            raise
        return started

    def _started_event(self, execution: PlanExecution, target: Target, permit: Permit) -> AttemptStarted:
        now, request = self._now(), execution.routed.request
        return AttemptStarted(
            request=request,
            attempt=execution.next_attempt,
            provider=target.provider,
            model=target.model,
            worker=self._worker,
            started_at=now,
            expires_at=max(now + 1, min(now + target.timeout_ms, request.deadline_at)),
            waited_ms=round(permit.waited_s * 1000),
            in_flight_limit=permit.in_flight_limit,
        )

    def _attempt_record(self, event: AttemptEvent, execution: PlanExecution) -> ProducerRecord:
        return attempt_event_record(event, self._attempts_topic, self._stage, execution.partition)

    def _end(self, execution: PlanExecution, failure: Failure | None) -> RequestEnd:
        outcome: Outcome = "answered" if failure is None else "expired" if failure is EXPIRED else "failed"
        request, attempts = execution.routed.request, execution.attempts
        return RequestEnd(request, outcome, failure, attempts, self._now(), execution.fingerprint)

    def _now(self) -> int:
        return int(self._clock() * 1000)
