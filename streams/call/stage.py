"""Call stage: claims a request, runs its plan against the providers, and settles it."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence

from connectors.providers import make_provider
from connectors.providers.provider import Provider
from schemas.avro.codec import decode
from schemas.events.catalog import RequestRouted
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.call.attempts import RequestEnd, to_settled_event
from streams.call.config import CallConfig
from streams.call.idempotency.answer_lookup import AnswerLookup
from streams.call.idempotency.claims import Completed, InDoubt
from streams.call.idempotency.ledger import Follow, RequestLedger
from streams.call.idempotency.replay import end_for_repeat, replay_stream
from streams.call.plan_execution import PlanExecution
from streams.call.plan_runner import PlanRunner
from streams.call.pricing import PriceBook
from streams.call.traffic.fair_share import DynamicThreshold
from streams.call.traffic.target_events import TargetEventPublisher
from streams.call.traffic.targets import TargetRegistry
from streams.pipeline.failures import IN_DOUBT
from streams.pipeline.producer_records import request_event_record
from streams.pipeline.settlement import settle_internal_error
from streams.pipeline.stage import AsyncStage, DeadLetterError, Emit


class CallStage(AsyncStage):
    """Consumes ``RequestRouted``; produces ``AttemptStarted``, ``AttemptFinished`` and ``RequestSettled``.

    Args:
        config: settings of the stage.
        worker: id of this worker; see ``streams.call.idempotency.worker_id``.
        follow: creates a follower of the log. Without one the worker only knows its own attempts.
        answer_lookup: finds recorded answers to named requests. Without one they are found for 15 minutes only.
        providers: clients by configured name; created from ``config`` if absent.
        clock: seconds since the epoch.
        draw: uniform random number from 0 to 1, the jitter of the backoff.

    """

    name = "call"

    def __init__(
        self,
        config: CallConfig,
        worker: str,
        *,
        follow: Follow | None = None,
        answer_lookup: AnswerLookup | None = None,
        providers: Mapping[str, Provider] | None = None,
        clock: Callable[[], float] = time.time,
        draw: Callable[[], float] = random.random,
    ) -> None:
        if providers is None:
            providers = {name: make_provider(name, settings) for name, settings in config.providers.items()}
        provider_share = config.overload.provider_share if len(providers) > 1 else 1.0
        self._threshold = DynamicThreshold(config.calls_in_flight, provider_share)
        self._targets = TargetRegistry(
            providers,
            config.providers,
            worker,
            clock,
            threshold=self._threshold,
            batch_share=config.overload.batch_share,
        )
        self._target_events = TargetEventPublisher(self._targets.state_changes, config.topics.health, self.name)
        self._ledger = RequestLedger(worker, clock, config.topics, follow, answer_lookup)
        self.claims = self._ledger.claims
        self._runner = PlanRunner(
            self._targets,
            self._target_events,
            self.claims,
            prices=PriceBook(config.prices, config.providers),
            topics=config.topics,
            stage=self.name,
            worker=worker,
            clock=clock,
            draw=draw,
        )
        self._assigned: set[int] = set()
        self._topics = config.topics
        self._clock = clock

    async def process(self, record: ConsumerRecord, emit: Emit) -> Sequence[ProducerRecord]:
        """Settle a request. A request that has an end already gets the same end again.

        The last ``AttemptFinished`` and the outcome are returned together, which saves a round trip to the broker.

        Raises:
            DeadLetterError: the record is not a routed request with a JSON object as its body.

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
            self.claims.claim(routed.request.request_id, record.partition)
            self.claims.release(routed.request.request_id, end, claim.attempts)  # a repeat by the caller gets it, too
            return [self._settled_record(routed, end, record.partition)]
        return await self._run_claimed(self._runner.start(routed, record.partition, emit, claim))

    async def _replay(self, routed: RequestRouted, end: RequestEnd, emit: Emit, partition: int) -> ProducerRecord:
        end = end_for_repeat(routed, end)
        await replay_stream(routed, end, emit, self._topics.outcomes.dead_letters)
        return self._settled_record(routed, end, partition)

    async def _run_claimed(self, execution: PlanExecution) -> Sequence[ProducerRecord]:
        """Run the plan under a claim, so that other deliveries of the same request wait for its end."""
        self.claims.claim(execution.request_id, execution.partition)
        end = None
        try:
            end = await self._runner.run(execution)
        finally:
            self.claims.release(execution.request_id, end, execution.attempts)
        if end is None:
            return execution.unwritten
        return (*execution.unwritten, self._settled_record(execution.routed, end, execution.partition))

    def _settled_record(self, routed: RequestRouted, end: RequestEnd, partition: int) -> ProducerRecord:
        event = to_settled_event(routed, end, self._now())
        return request_event_record(event, self._topics.outcomes, self.name, event.settled_at, partition=partition)

    def end_after_failure(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Settle the request as failed."""
        routed = decode(record.value or b"")
        if not isinstance(routed, RequestRouted):
            return ()
        now = self._now()
        event = settle_internal_error(routed.request, now, model=routed.model, config_hash=routed.config_hash)
        return (request_event_record(event, self._topics.outcomes, self.name, now, partition=record.partition),)

    async def on_partition_assigned(self, partition: int, since_ms: int) -> None:
        """Read from the log which of the partition's requests other workers have started or settled."""
        self._assigned.add(partition)
        self._share_rate_limits()
        await self._ledger.catch_up(partition, since_ms)

    def on_partition_revoked(self, partition: int) -> None:
        """Forget a partition. Its calls in flight finish; this worker starts and settles nothing else of it."""
        self._assigned.discard(partition)
        self._share_rate_limits()
        self._ledger.forget(partition)

    def _share_rate_limits(self) -> None:
        """Take the share of all rate limits that equals this worker's share of the partitions."""
        self._targets.set_share(max(1, len(self._assigned)) / self._topics.routed.partitions)

    async def close(self) -> None:
        """Disconnect from Kafka and from the providers."""
        await self._ledger.close()
        self._target_events.close()
        await self._targets.close()

    def _now(self) -> int:
        return int(self._clock() * 1000)
