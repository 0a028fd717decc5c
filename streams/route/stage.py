"""Route stage: turns the model name of a request into a plan of targets for the call stage."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from schemas.avro.codec import decode
from schemas.events.catalog import RequestAdmitted, RequestRouted
from schemas.events.parts import Failure, Plan
from schemas.events.vocabulary import Outcome
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.pipeline.failures import EXPIRED
from streams.pipeline.producer_records import request_event_record
from streams.pipeline.settlement import settle, settle_internal_error
from streams.pipeline.stage import DeadLetterError, TransformStage
from streams.route.config import RouteConfig
from streams.route.planning import plan

PLAN_CACHE_SIZE = 1024
"""Plans cached of models with a fixed order of targets. Callers may use any number of names: a full cache is cleared.

It is a plain dict because an LRU cache takes 0.6 us for each request where a dict takes 0.1.
"""
CACHED_NAME_LIMIT = 256
"""Maximum characters of a model name whose plan is cached: a caller's name may be as long as a body."""


class RouteStage(TransformStage):
    """Consumes ``RequestAdmitted``; produces ``RequestRouted``, or ``RequestSettled`` if the model is unknown.

    Args:
        config: settings of the stage.
        clock: seconds since the epoch.

    """

    name = "route"

    def __init__(self, config: RouteConfig, clock: Callable[[], float] = time.time) -> None:
        self._config = config
        self._clock = clock
        self._plans: dict[str, Plan] = {}

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Plan the request, or settle it as expired if its deadline has passed.

        Raises:
            DeadLetterError: the record is not an admitted request.

        """
        admitted = decode(record.value or b"")
        if not isinstance(admitted, RequestAdmitted):
            raise DeadLetterError(f"{type(admitted).__name__} does not belong on {record.topic}")
        now = int(self._clock() * 1000)
        if now >= admitted.request.deadline_at:
            return [self._settled_record(admitted, "expired", EXPIRED, now, record.partition)]
        planned = self._cached_plan(admitted)
        if isinstance(planned, Failure):
            return [self._settled_record(admitted, "refused", planned, now, record.partition)]
        topic = self._config.topics.for_lane(admitted.request.lane).routed
        routed = self._routed_event(admitted, planned, now)
        return [request_event_record(routed, topic, self.name, now, partition=record.partition)]

    def end_after_failure(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Settle the request as failed."""
        admitted = decode(record.value or b"")
        if not isinstance(admitted, RequestAdmitted):
            return ()
        now = int(self._clock() * 1000)
        event = settle_internal_error(admitted.request, now, model=admitted.model, config_hash=self._config.config_hash)
        return (request_event_record(event, self._config.topics.outcomes, self.name, now, partition=record.partition),)

    def _cached_plan(self, admitted: RequestAdmitted) -> Plan | Failure:
        """Plan the request, or return the plan that all requests for its model share."""
        if (cached := self._plans.get(admitted.model)) is not None:
            return cached
        planned = plan(admitted, self._config)
        if isinstance(planned, Plan) and planned.policy != "weighted" and len(planned.alias) <= CACHED_NAME_LIMIT:
            if len(self._plans) >= PLAN_CACHE_SIZE:
                self._plans.clear()
            self._plans[admitted.model] = planned
        return planned

    def _routed_event(self, admitted: RequestAdmitted, planned: Plan, now: int) -> RequestRouted:
        return RequestRouted(
            request=admitted.request,
            model=admitted.model,
            body=admitted.body,
            labels=admitted.labels,
            actions=admitted.actions,
            plan=planned,
            admitted_at=admitted.admitted_at,
            routed_at=now,
            config_hash=self._config.config_hash,
        )

    def _settled_record(
        self, admitted: RequestAdmitted, outcome: Outcome, failure: Failure, now: int, partition: int
    ) -> ProducerRecord:
        event = settle(admitted, outcome, failure, now, config_hash=self._config.config_hash)
        return request_event_record(event, self._config.topics.outcomes, self.name, now, partition=partition)
