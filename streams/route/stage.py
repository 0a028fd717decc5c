"""Route: from the name that a caller used to the ordered targets that the call stage walks."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from schemas.avro.codec import decode
from schemas.events.catalog import RequestAdmitted, RequestRouted
from schemas.events.parts import Failure, Plan
from schemas.events.vocabulary import Outcome
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from streams.config.settings import Settings
from streams.pipeline.failures import EXPIRED
from streams.pipeline.producer_records import request_event_record
from streams.pipeline.settlement import settle
from streams.pipeline.stage import DeadLetterError, TransformStage
from streams.route.planning import plan

PLAN_CACHE_SIZE = 1024
"""Kept of models whose targets stand in one order. A caller may name as many as it likes: then all are made anew."""
CACHED_NAME_LIMIT = 256
"""Characters of the name of a model whose plan is kept: callers may make names as long as a body."""


class RouteStage(TransformStage):
    """The stage: ``RequestAdmitted`` in, ``RequestRouted`` or a refusal out."""

    name = "route"

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._plans: dict[str, Plan] = {}

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Plan the request, unless nobody waits for it any more."""
        admitted = decode(record.value or b"")
        if not isinstance(admitted, RequestAdmitted):
            raise DeadLetterError(f"{type(admitted).__name__} does not belong on {record.topic}")
        now = int(self._clock() * 1000)
        if now >= admitted.request.deadline_at:
            return [self._settle(admitted, "expired", EXPIRED, now, record.partition)]
        planned = self._cached_plan(admitted)
        if isinstance(planned, Failure):
            return [self._settle(admitted, "refused", planned, now, record.partition)]
        topic = self._settings.topics.for_lane(admitted.request.lane).routed
        return [
            request_event_record(
                self._routed(admitted, planned, now), topic, self.name, now, partition=record.partition
            )
        ]

    def _cached_plan(self, admitted: RequestAdmitted) -> Plan | Failure:
        """Plan the request, or find the plan that every request of its model has."""
        if (known := self._plans.get(admitted.model)) is not None:
            return known
        planned = plan(admitted, self._settings)
        if isinstance(planned, Plan) and planned.policy != "weighted" and len(planned.alias) <= CACHED_NAME_LIMIT:
            if len(self._plans) >= PLAN_CACHE_SIZE:
                self._plans.clear()
            self._plans[admitted.model] = planned
        return planned

    def _routed(self, admitted: RequestAdmitted, planned: Plan, now: int) -> RequestRouted:
        return RequestRouted(
            request=admitted.request,
            model=admitted.model,
            body=admitted.body,
            labels=admitted.labels,
            actions=admitted.actions,
            plan=planned,
            admitted_at=admitted.admitted_at,
            routed_at=now,
            config_hash=self._settings.hash,
        )

    def _settle(
        self, admitted: RequestAdmitted, outcome: Outcome, failure: Failure, now: int, partition: int
    ) -> ProducerRecord:
        event = settle(admitted, outcome, failure, now, config_hash=self._settings.hash)
        return request_event_record(event, self._settings.topics.outcomes, self.name, now, partition=partition)
