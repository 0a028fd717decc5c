"""Call: walk a request's plan until a provider answers, with every attempt on the log before and after."""

from __future__ import annotations

import asyncio
import dataclasses
import random
import time
from collections.abc import Callable, Mapping, Sequence

from connectors.providers import make_provider
from connectors.providers.provider import Provider
from schemas.avro.codec import decode
from schemas.events.catalog import AttemptStarted, RequestRouted
from schemas.events.parts import Failure, Target
from schemas.events.vocabulary import Outcome
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.call.attempts import RequestEnd, to_finished_event, to_settled_event, to_withdrawn_event
from streams.call.idempotency.answer_lookup import AnswerLookup
from streams.call.idempotency.claims import Completed, InDoubt, Unclaimed
from streams.call.idempotency.fingerprint import with_fingerprint
from streams.call.idempotency.ledger import Follow, RequestLedger
from streams.call.idempotency.replay import end_for_repeat, replay_stream
from streams.call.plan_execution import PlanExecution, start
from streams.call.pricing import PriceBook
from streams.call.provider_call import call_provider
from streams.call.retry import Fail, RetryAfter, next_step
from streams.call.traffic.fair_share import DynamicThreshold
from streams.call.traffic.load_balancing import order_by_load
from streams.call.traffic.target import Permit, Rejection
from streams.call.traffic.targets import TargetRegistry
from streams.config.settings import Settings
from streams.pipeline.failures import EXPIRED, IN_DOUBT
from streams.pipeline.producer_records import (
    AttemptEvent,
    attempt_event_record,
    request_event_record,
    target_event_record,
)
from streams.pipeline.stage import AsyncStage, DeadLetterError, Emit, PartitionRevokedError


class CallStage(AsyncStage):
    """The stage: ``RequestRouted`` in, ``AttemptStarted``, ``AttemptFinished`` and ``RequestSettled`` out."""

    name = "call"

    def __init__(
        self,
        settings: Settings,
        worker: str,
        *,
        follow: Follow | None = None,
        recall: AnswerLookup | None = None,
        providers: Mapping[str, Provider] | None = None,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if providers is None:
            providers = {name: make_provider(name, provider) for name, provider in settings.providers.items()}
        self._ledger = RequestLedger(worker, clock, settings.topics, follow, recall)
        self.claims = self._ledger.claims
        self._threshold = DynamicThreshold(
            settings.calls_in_flight, settings.overload.provider_share if len(providers) > 1 else 1.0
        )
        self._targets = TargetRegistry(
            providers,
            settings.providers,
            worker,
            clock,
            slots=self._threshold,
            batch_share=settings.overload.batch_share,
        )
        self._assigned: set[int] = set()
        self._partitions = settings.kafka.partitions
        self._publishing: set[asyncio.Task[None]] = set()
        self._topics = settings.topics
        self._prices = PriceBook(settings)
        self._worker = worker
        self._clock = clock
        self._draw = draw

    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        """Bring a request to its end; to the one that it had already, if it had one.

        The last ``AttemptFinished`` and the outcome are returned together, which saves a round trip to the broker.

        Raises:
            DeadLetterError: the record is no routed request with a JSON body.

        """
        with self._threshold.track():
            return await self._process(record, emit)

    async def _process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        routed = decode(record.value or b"")
        if not isinstance(routed, RequestRouted):
            raise DeadLetterError(f"{type(routed).__name__} does not belong on {record.topic}")
        claim = await self._ledger.claim(routed.request, record.partition)
        if isinstance(claim, Completed):
            return [await self._replay(routed, claim.end, emit, record.partition)]
        if isinstance(claim, InDoubt) and routed.plan.on_in_doubt == "fail":
            end = RequestEnd(routed.request, "failed", IN_DOUBT, claim.attempts, self._now())
            return [self._settled_record(routed, end, record.partition)]
        return await self._run_claimed(start(self._order_targets(routed, claim), record.partition, emit, claim))

    async def _replay(self, routed: RequestRouted, end: RequestEnd, emit: Emit, partition: int) -> ProducerRecord:
        end = end_for_repeat(routed, end)
        await replay_stream(routed, end, emit, self._topics.outcomes.dead_letters)
        return self._settled_record(routed, end, partition)

    def _order_targets(self, routed: RequestRouted, claim: Unclaimed | InDoubt) -> RequestRouted:
        """Put the targets in order, if that was left to us."""
        if routed.plan.policy != "latency":
            return routed
        tried = [(attempt.provider, attempt.model) for attempt in claim.attempts]
        if isinstance(claim, InDoubt):
            tried.append((claim.started.provider, claim.started.model))
        plan = order_by_load(routed.plan, tried, lambda target: self._targets.get(target).load_score_s())
        return dataclasses.replace(routed, plan=plan)

    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:
        """Learn from the log which of the requests to come others have begun or ended."""
        self._assigned.add(partition)
        self._share_rate_limits()
        await self._ledger.catch_up(partition, since_ms)

    def on_partition_revoked(self, partition: int) -> None:
        """Let go of a partition: calls under way end, and nothing else is begun or settled for it here."""
        self._assigned.discard(partition)
        self._share_rate_limits()
        self._ledger.forget(partition)

    def _share_rate_limits(self) -> None:
        """Rate limits are everybody's: our part of them is that of the partitions from which we get work."""
        self._targets.set_share(max(1, len(self._assigned)) / self._partitions)

    async def close(self) -> None:
        """Close the providers' connections."""
        await self._ledger.close()
        for task in self._publishing:
            task.cancel()
        await self._targets.close()

    async def _run_claimed(self, walk: PlanExecution) -> Sequence[ProducerRecord]:
        """Walk, and let others who come for the same request wait for it."""
        self.claims.claim(walk.request_id, walk.partition)
        end = None
        try:
            end = await self._run_plan(walk)
        finally:
            self.claims.release(walk.request_id, end, walk.attempts)
        return (
            walk.unwritten if end is None else (*walk.unwritten, self._settled_record(walk.routed, end, walk.partition))
        )

    async def _run_plan(self, walk: PlanExecution) -> RequestEnd | None:
        """Attempt after attempt, as ``next_step`` says; None if the request is another worker's by now."""
        plan = walk.routed.plan
        while not walk.is_answered:
            step = next_step(plan, walk.failures, self._clock(), walk.deadline_s, self._draw())
            if isinstance(step, Fail):
                return self._end(walk, step.failure)
            if walk.chunks_forwarded:  # the caller has seen a part of this answer: another one can't follow it
                return self._end(walk, walk.last_failure)
            if self.claims.is_revoked(walk.request_id):
                return None
            for output in walk.unwritten:
                await walk.emit(output)
            walk.unwritten = ()
            if isinstance(step, RetryAfter) and not self._stays_open(walk, step.target, step.delay_s):
                await asyncio.sleep(step.delay_s)
            if not await self._attempt(walk, step.target):
                return self._end(walk, EXPIRED)
        return self._end(walk, None)

    def _stays_open(self, walk: PlanExecution, place: int, for_s: float) -> bool:
        """Whether a target will still be closed then: to wait for it would be in vain."""
        return self._targets.get(walk.routed.plan.targets[place]).retry_after_s() > for_s

    async def _attempt(self, walk: PlanExecution, place: int) -> bool:
        """Call one target once, or pass it over; False if the deadline came before its turn."""
        target = walk.routed.plan.targets[place]
        gate = self._targets.get(target)
        turn = await gate.acquire(walk.deadline_s - self._clock(), walk.cost, walk.lane)
        self._publish_state_changes(walk.emit)
        if isinstance(turn, Rejection):
            walk.skip_target(place, turn.reason, turn.retry_after_s)
        if turn is None or isinstance(turn, Rejection):
            return turn is not None
        result = None
        try:
            started = await self._start(walk, target, turn)
            timeout_s = (started.expires_at - self._now()) / 1000
            result = await call_provider(
                gate.provider(walk.lane), walk, started, timeout_s, self._topics.outcomes.dead_letters
            )
        finally:
            gate.release(turn, result, target.timeout_ms / 1000)
            self._publish_state_changes(walk.emit)
        ended = to_finished_event(started, result, self._now(), self._prices)
        output = self._attempt_record(ended, walk)
        walk.record_attempt(place, ended, output if ended.error_type else with_fingerprint(output, walk.fingerprint))
        return True

    async def _start(self, walk: PlanExecution, target: Target, turn: Permit) -> AttemptStarted:
        """Put it on the log that a call begins; or that none does, for who has the request now would wait for it."""
        started = self._started_event(walk, target, turn)
        try:
            await walk.emit(self._attempt_record(started, walk))
        except PartitionRevokedError as lost:
            if lost.already_written:
                await walk.emit(self._attempt_record(to_withdrawn_event(started, self._now()), walk))
            raise
        return started

    def _publish_state_changes(self, emit: Emit) -> None:
        """Write what is new about targets, beside the requests: none of them waits for it."""
        while self._targets.state_changes:
            output = target_event_record(self._targets.state_changes.popleft(), self._topics.health, self.name)
            task = asyncio.ensure_future(emit(output))
            self._publishing.add(task)
            task.add_done_callback(self._publishing.discard)

    # --- events

    def _started_event(self, walk: PlanExecution, target: Target, turn: Permit) -> AttemptStarted:
        now = self._now()
        return AttemptStarted(
            request=walk.routed.request,
            attempt=walk.next_attempt,
            provider=target.provider,
            model=target.model,
            worker=self._worker,
            started_at=now,
            expires_at=max(now + 1, min(now + target.timeout_ms, walk.routed.request.deadline_at)),
            waited_ms=round(turn.waited_s * 1000),
            in_flight_limit=turn.limit,
        )

    def _attempt_record(self, event: AttemptEvent, walk: PlanExecution) -> ProducerRecord:
        return attempt_event_record(event, self._topics.attempts, self.name, walk.partition)

    def _settled_record(self, routed: RequestRouted, end: RequestEnd, partition: int) -> ProducerRecord:
        event = to_settled_event(routed, end, self._now())
        return request_event_record(event, self._topics.outcomes, self.name, event.settled_at, partition=partition)

    def _end(self, walk: PlanExecution, failure: Failure | None) -> RequestEnd:
        outcome: Outcome = "answered" if failure is None else "expired" if failure is EXPIRED else "failed"
        return RequestEnd(walk.routed.request, outcome, failure, walk.attempts, self._now(), walk.fingerprint)

    def _now(self) -> int:
        return int(self._clock() * 1000)
