"""Filter: what comes in is a request of somebody who may ask, and goes on with nothing in it that may not be kept."""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from schemas.events.catalog import RequestAdmitted
from schemas.events.parts import Failure, PolicyAction, Request
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.config.settings import Settings
from streams.filter.partitioning import choose_partition
from streams.filter.request_parsing import InvalidRecordError, ParsedRequest, parse_request
from streams.pipeline.authorization import Authorizer
from streams.pipeline.dead_letters import dead_letter_record
from streams.pipeline.failures import EXPIRED
from streams.pipeline.producer_records import request_event_record
from streams.pipeline.settlement import settle_refused
from streams.pipeline.stage import TransformStage
from streams.policy.body_text import UnscannableContentError
from streams.policy.rules import CompiledPolicy, evaluate, redact


class RequestRefusedError(Exception):
    """The request goes no further."""

    def __init__(self, failure: Failure, model: str = "", actions: tuple[PolicyAction, ...] = ()) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.model = model
        self.actions = actions


class FilterStage(TransformStage):
    """The stage: ``RequestReceived`` or a service's JSON in, ``RequestAdmitted`` or a refusal out."""

    name = "filter"

    def __init__(self, settings: Settings, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._settings = settings
        self._clock = clock
        self._permissions = Authorizer(settings)
        self._rules = functools.cache(lambda tenant: CompiledPolicy(settings.policy(tenant)))

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Admit the request or end it. What no reader can read is kept with the dead letters as well."""
        now = self._clock()
        try:
            arrival = parse_request(record, self._settings, now)
        except InvalidRecordError as error:
            ended = self._refuse(error.request, RequestRefusedError(error.failure), now, record)
            return [ended, self._dead_letter(record, error)] if error.dead_letter else [ended]
        try:
            admitted = self.decide(arrival, now)
        except RequestRefusedError as refusal:
            return [self._refuse(arrival.request, refusal, now, record)]
        topic = self._settings.topics.for_lane(admitted.request.lane).admitted
        return [
            request_event_record(
                admitted, topic, self.name, now, partition=self._choose_partition(admitted.request, record)
            )
        ]

    def decide(self, arrival: ParsedRequest, now: int) -> RequestAdmitted:
        """Say what goes on.

        Raises:
            InadmissibleError: nothing does.

        """
        request, rules = arrival.request, self._rules(arrival.request.tenant)
        failure = EXPIRED if now >= request.deadline_at else self._permissions.check_operation(request)
        if failure is not None:
            raise RequestRefusedError(failure)
        if isinstance(arrival.document, Failure):
            raise RequestRefusedError(arrival.document)
        failure = openai.validation_failure(request.operation, arrival.document)
        if failure is not None:
            raise RequestRefusedError(failure)
        document, actions = _apply_policy(arrival.document, rules)
        failure = self._permissions.check_model(request, document["model"])
        if failure is not None:
            raise RequestRefusedError(failure, document["model"], actions)
        return RequestAdmitted(
            request=self._assign_lane(_keep_stream_topic(_redact_idempotency_key(request, rules), document), document),
            model=document["model"],
            # a rule saw the document, not the text: of a name that comes twice in that, only the last was seen
            body=(orjson.dumps(document) if rules.strict else arrival.body).decode(),
            labels=document.get("metadata") or {},
            actions=actions,
            admitted_at=now,
            config_hash=self._settings.hash,
        )

    def _assign_lane(self, request: Request, document: dict[str, Any]) -> Request:
        """Put it into the batch lane if its model is of that, or if its caller is content to wait as OpenAI has it."""
        model = self._settings.models.get(document["model"])
        batch = document.get("service_tier") == "flex" or (model is not None and model.lane == "batch")
        return dataclasses.replace(request, lane="batch") if batch else request

    def _choose_partition(self, request: Request, record: ConsumerRecord) -> int | None:
        return choose_partition(request, record, self._settings.kafka.partitions)

    def _refuse(
        self, request: Request, refusal: RequestRefusedError, now: int, record: ConsumerRecord
    ) -> ProducerRecord:
        event = settle_refused(
            _redact_idempotency_key(request, self._rules(request.tenant)),
            "expired" if refusal.failure is EXPIRED else "refused",
            refusal.failure,
            now,
            model=refusal.model,
            actions=refusal.actions,
            config_hash=self._settings.hash,
        )
        topic = self._settings.topics.outcomes
        return request_event_record(event, topic, self.name, now, partition=self._choose_partition(request, record))

    def _dead_letter(self, record: ConsumerRecord, error: InvalidRecordError) -> ProducerRecord:
        group = self._settings.topics.group(self.name)
        name = type(error).__name__
        return dead_letter_record(record, stage=self.name, group=group, error=name, reason=error.failure.message)


def _apply_policy(document: dict[str, Any], rules: CompiledPolicy) -> tuple[dict[str, Any], tuple[PolicyAction, ...]]:
    """Return the body as the policy leaves it, and what the policy did."""
    try:
        verdict = evaluate(document, rules)
    except UnscannableContentError as error:
        raise RequestRefusedError(
            invalid("input_not_screenable", str(error)), redact(document["model"], rules)
        ) from error
    if verdict.blocked is None:
        return verdict.document, verdict.actions
    message = f"the policy for your requests refuses this one, by its rule {verdict.blocked}"
    failure = invalid("policy_violation", message)
    raise RequestRefusedError(failure, redact(document["model"], rules), verdict.actions)


def _keep_stream_topic(request: Request, document: dict[str, Any]) -> Request:
    """Keep the place for chunks only if the body asks for them."""
    wanted = request.operation == "chat" and bool(document.get("stream"))
    return request if wanted or not request.stream_topic else dataclasses.replace(request, stream_topic="")


def _redact_idempotency_key(request: Request, rules: CompiledPolicy) -> Request:
    """Free what goes on beside the body from what the policy would take out of it: the caller's own name for it."""
    name = request.idempotency_key
    clean = redact(name, rules) if name else name
    return request if clean == name else dataclasses.replace(request, idempotency_key=clean)
