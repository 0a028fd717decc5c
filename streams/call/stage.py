"""Call: walk a request's plan until a provider answers, with every attempt on the log before and after."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Mapping, Sequence

from connectors.providers import make
from connectors.providers.provider import Provider
from schemas.avro.codec import decode
from schemas.events.catalog import AttemptStarted, RequestRouted
from schemas.events.parts import Failure, Target
from schemas.events.vocabulary import Outcome
from schemas.kafka.records import Output, Record
from streams.call.attempts import End, end_of, finished, withdrawn
from streams.call.idempotency.answer_lookup import Recall
from streams.call.idempotency.claims import Finished, Fresh, InDoubt
from streams.call.idempotency.fingerprint import marked
from streams.call.idempotency.ledger import Follow, Memory
from streams.call.idempotency.replay import end_for, stream_again
from streams.call.plan_execution import Walk, begin
from streams.call.pricing import Prices
from streams.call.provider_call import called
from streams.call.retry import GiveUp, WaitThen, next_step
from streams.call.traffic.fair_share import Slots
from streams.call.traffic.load_balancing import soonest_first
from streams.call.traffic.target import PassedOver, Turn
from streams.call.traffic.targets import Gates
from streams.config.settings import Settings
from streams.pipeline.failures import EXPIRED, IN_DOUBT
from streams.pipeline.producer_records import AttemptEvent, written, written_of_attempt, written_of_target
from streams.pipeline.stage import DeadLetterError, Emit, LostError


class CallStage:
    """The stage: ``RequestRouted`` in, ``AttemptStarted``, ``AttemptFinished`` and ``RequestSettled`` out."""

    name = "call"

    def __init__(
        self,
        settings: Settings,
        worker: str,
        *,
        follow: Follow | None = None,
        recall: Recall | None = None,
        providers: Mapping[str, Provider] | None = None,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if providers is None:
            providers = {name: make(name, provider) for name, provider in settings.providers.items()}
        self._memory = Memory(worker, clock, settings.topics, follow, recall)
        self.claims = self._memory.claims
        self._slots = Slots(settings.calls_in_flight, settings.overload.provider_share if len(providers) > 1 else 1.0)
        self._gates = Gates(
            providers,
            settings.providers,
            worker,
            clock,
            slots=self._slots,
            batch_share=settings.overload.batch_share,
        )
        self._held: set[int] = set()
        self._partitions = settings.kafka.partitions
        self._telling: set[asyncio.Task[None]] = set()
        self._topics = settings.topics
        self._prices = Prices(settings)
        self._worker = worker
        self._clock = clock
        self._draw = draw

    async def work(self, record: Record, emit: Emit) -> Sequence[Output]:
        """Bring a request to its end; to the one that it had already, if it had one.

        The last ``AttemptFinished`` and the outcome are returned together, which saves a round trip to the broker.

        Raises:
            DeadLetterError: the record is no routed request with a JSON body.

        """
        with self._slots.one():
            return await self._work(record, emit)

    async def _work(self, record: Record, emit: Emit) -> Sequence[Output]:
        routed = decode(record.value or b"")
        if not isinstance(routed, RequestRouted):
            raise DeadLetterError(f"{type(routed).__name__} does not belong on {record.topic}")
        claim = await self._memory.claim(routed.request, record.partition)
        if isinstance(claim, Finished):
            return [await self._again(routed, claim.end, emit, record.partition)]
        if isinstance(claim, InDoubt) and routed.plan.on_in_doubt == "fail":
            end = End(routed.request, "failed", IN_DOUBT, claim.attempts, self._now())
            return [self._settled(routed, end, record.partition)]
        return await self._run(begin(self._ordered(routed, claim), record.partition, emit, claim))

    async def _again(self, routed: RequestRouted, end: End, emit: Emit, partition: int) -> Output:
        end = end_for(routed, end)
        await stream_again(routed, end, emit, self._topics.outcomes.dead_letters)
        return self._settled(routed, end, partition)

    def _ordered(self, routed: RequestRouted, claim: Fresh | InDoubt) -> RequestRouted:
        """Put the targets in order, if that was left to us."""
        if routed.plan.policy != "latency":
            return routed
        tried = [(attempt.provider, attempt.model) for attempt in claim.attempts]
        if isinstance(claim, InDoubt):
            tried.append((claim.started.provider, claim.started.model))
        plan = soonest_first(routed.plan, tried, lambda target: self._gates.of(target).burden_s())
        return routed.model_copy(update={"plan": plan})

    async def prepare(self, partition: int, since_ms: int) -> None:
        """Learn from the log which of the requests to come others have begun or ended."""
        self._held.add(partition)
        self._share()
        await self._memory.learn(partition, since_ms)

    def revoke(self, partition: int) -> None:
        """Let go of a partition: calls under way end, and nothing else is begun or settled for it here."""
        self._held.discard(partition)
        self._share()
        self._memory.leave(partition)

    def _share(self) -> None:
        """Rate limits are everybody's: our part of them is that of the partitions from which we get work."""
        self._gates.share(max(1, len(self._held)) / self._partitions)

    async def close(self) -> None:
        """Close the providers' connections."""
        await self._memory.close()
        for task in self._telling:
            task.cancel()
        await self._gates.close()

    async def _run(self, walk: Walk) -> Sequence[Output]:
        """Walk, and let others who come for the same request wait for it."""
        self.claims.take(walk.request_id, walk.partition)
        end = None
        try:
            end = await self._walk(walk)
        finally:
            self.claims.release(walk.request_id, end, walk.attempts)
        return walk.last if end is None else (*walk.last, self._settled(walk.routed, end, walk.partition))

    async def _walk(self, walk: Walk) -> End | None:
        """Attempt after attempt, as ``next_step`` says; None if the request is another worker's by now."""
        plan = walk.routed.plan
        while not walk.answered:
            step = next_step(plan, walk.tried, self._clock(), walk.deadline_s, self._draw())
            if isinstance(step, GiveUp):
                return self._end(walk, step.failure)
            if walk.forwarded:  # the caller has seen a part of this answer: another one can't follow it
                return self._end(walk, walk.last_failure)
            if self.claims.lost(walk.request_id):
                return None
            for output in walk.last:
                await walk.emit(output)
            walk.last = ()
            if isinstance(step, WaitThen) and not self._closed(walk, step.target, step.delay_s):
                await asyncio.sleep(step.delay_s)
            if not await self._attempt(walk, step.target):
                return self._end(walk, EXPIRED)
        return self._end(walk, None)

    def _closed(self, walk: Walk, place: int, for_s: float) -> bool:
        """Whether a target will still be closed then: to wait for it would be in vain."""
        return self._gates.of(walk.routed.plan.targets[place]).closed_for_s() > for_s

    async def _attempt(self, walk: Walk, place: int) -> bool:
        """Call one target once, or pass it over; False if the deadline came before its turn."""
        target = walk.routed.plan.targets[place]
        gate = self._gates.of(target)
        turn = await gate.enter(walk.deadline_s - self._clock(), walk.cost, walk.lane)
        self._tell(walk.emit)
        if isinstance(turn, PassedOver):
            walk.pass_over(place, turn.reason, turn.retry_after_s)
        if turn is None or isinstance(turn, PassedOver):
            return turn is not None
        result = None
        try:
            started = await self._start(walk, target, turn)
            timeout_s = (started.expires_at - self._now()) / 1000
            result = await called(
                gate.provider(walk.lane), walk, started, timeout_s, self._topics.outcomes.dead_letters
            )
        finally:
            gate.leave(turn, result, target.timeout_ms / 1000)
            self._tell(walk.emit)
        ended = finished(started, result, self._now(), self._prices)
        output = self._written(ended, walk)
        walk.add(place, ended, output if ended.error_type else marked(output, walk.asked))
        return True

    async def _start(self, walk: Walk, target: Target, turn: Turn) -> AttemptStarted:
        """Put it on the log that a call begins; or that none does, for who has the request now would wait for it."""
        started = self._started(walk, target, turn)
        try:
            await walk.emit(self._written(started, walk))
        except LostError as lost:
            if lost.written:
                await walk.emit(self._written(withdrawn(started, self._now()), walk))
            raise
        return started

    def _tell(self, emit: Emit) -> None:
        """Write what is new about targets, beside the requests: none of them waits for it."""
        while self._gates.news:
            output = written_of_target(self._gates.news.popleft(), self._topics.health, self.name)
            task = asyncio.ensure_future(emit(output))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    # --- events

    def _started(self, walk: Walk, target: Target, turn: Turn) -> AttemptStarted:
        now = self._now()
        return AttemptStarted(
            request=walk.routed.request,
            attempt=walk.number,
            provider=target.provider,
            model=target.model,
            worker=self._worker,
            started_at=now,
            expires_at=max(now + 1, min(now + target.timeout_ms, walk.routed.request.deadline_at)),
            waited_ms=round(turn.waited_s * 1000),
            in_flight_limit=turn.limit,
        )

    def _written(self, event: AttemptEvent, walk: Walk) -> Output:
        return written_of_attempt(event, self._topics.attempts, self.name, walk.partition)

    def _settled(self, routed: RequestRouted, end: End, partition: int) -> Output:
        event = end_of(routed, end, self._now())
        return written(event, self._topics.outcomes, self.name, event.settled_at, partition=partition)

    def _end(self, walk: Walk, failure: Failure | None) -> End:
        outcome: Outcome = "answered" if failure is None else "expired" if failure is EXPIRED else "failed"
        return End(walk.routed.request, outcome, failure, walk.attempts, self._now(), walk.asked)

    def _now(self) -> int:
        return int(self._clock() * 1000)
