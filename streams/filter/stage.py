"""Filter stage: parses requests, authorizes their callers, and applies the tenant's policy to the body."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence

import orjson
import structlog
from prometheus_client import Counter

from schemas.events.catalog import RequestAdmitted
from schemas.events.parts import Failure, PolicyAction, Request
from schemas.json_types import JsonObject
from schemas.kafka.records import ConsumerRecord, ProducerRecord
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.filter.config import FilterConfig
from streams.filter.partitioning import choose_partition
from streams.filter.request_parsing import ForgedEventError, InvalidRecordError, ParsedRequest, RequestParser
from streams.pipeline.dead_letters import dead_letter_record
from streams.pipeline.failures import EXPIRED
from streams.pipeline.producer_records import request_event_record
from streams.pipeline.settlement import settle_internal_error, settle_refused
from streams.pipeline.stage import TransformStage
from streams.policy.body_text import UnscannableContentError
from streams.policy.rules import CompiledPolicy, evaluate, redact

_FORGED = Counter("sluice_forged_events", "Events without a valid signature that the filter refused.", ["topic"])
_log = structlog.get_logger()


class RequestRefusedError(Exception):
    """The request is refused or has expired, so no later stage receives it."""

    def __init__(self, failure: Failure, model: str = "", actions: tuple[PolicyAction, ...] = ()) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.model = model
        self.actions = actions


class FilterStage(TransformStage):
    """Transforms ``RequestReceived`` events and plain JSON into ``RequestAdmitted`` or ``RequestSettled`` events."""

    name = "filter"

    def __init__(self, config: FilterConfig, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._config = config
        self._clock = clock
        self._parser = RequestParser(
            config.topics,
            config.builder,
            accepts_anonymous=config.accepts_anonymous,
            signatures=config.signatures,
        )

    def process(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Admit the request or settle it. An unreadable record is also written to the dead-letter topic."""
        now = self._clock()
        try:
            parsed = self._parser.parse(record, now)
        except InvalidRecordError as error:
            if isinstance(error, ForgedEventError):
                _FORGED.labels(record.topic).inc()
                _log.warning("event.forged", record=record.position, reason=error.failure.message)
            settled = self._refuse(error.request, RequestRefusedError(error.failure), now, record)
            return [settled, self._dead_letter(record, error)] if error.dead_letter else [settled]
        try:
            admitted = self.admit(parsed, now)
        except RequestRefusedError as refusal:
            return [self._refuse(parsed.request, refusal, now, record)]
        topic = self._config.topics.for_lane(admitted.request.lane).admitted
        return [
            request_event_record(
                admitted, topic, self.name, now, partition=self._choose_partition(admitted.request, record)
            )
        ]

    def end_after_failure(self, record: ConsumerRecord) -> Sequence[ProducerRecord]:
        """Settle the request as failed, without its idempotency key, to which no policy may have been applied."""
        now = self._clock()
        request = dataclasses.replace(self._parser.recover(record, now), idempotency_key="")
        event = settle_internal_error(request, now, config_hash=self._config.config_hash)
        partition = self._choose_partition(request, record)
        return (request_event_record(event, self._config.topics.outcomes, self.name, now, partition=partition),)

    def admit(self, parsed: ParsedRequest, now: int) -> RequestAdmitted:
        """Return the event of an admitted request.

        Raises:
            RequestRefusedError: the request has expired, is invalid, or is not allowed.

        """
        request, policy = parsed.request, self._config.policies.for_tenant(parsed.request.tenant)
        failure = EXPIRED if now >= request.deadline_at else self._config.authorizer.check_operation(request)
        if failure is not None:
            raise RequestRefusedError(failure)
        if isinstance(parsed.document, Failure):
            raise RequestRefusedError(parsed.document)
        failure = openai.validation_failure(request.operation, parsed.document)
        if failure is not None:
            raise RequestRefusedError(failure)
        document, actions = _apply_policy(parsed.document, policy)
        failure = self._config.authorizer.check_model(request, document["model"])
        if failure is not None:
            raise RequestRefusedError(failure, document["model"], actions)
        return RequestAdmitted(
            request=self._assign_lane(_keep_stream_topic(_redact_idempotency_key(request, policy), document), document),
            model=document["model"],
            # The rules checked the parsed document. If the text repeats a key, they saw only the last value.
            body=(orjson.dumps(document) if policy.strict else parsed.body).decode(),
            labels=document.get("metadata") or {},
            actions=actions,
            admitted_at=now,
            config_hash=self._config.config_hash,
        )

    def _assign_lane(self, request: Request, document: JsonObject) -> Request:
        """Move the request to the batch lane if its model is of that lane or its ``service_tier`` is ``flex``."""
        is_batch = document.get("service_tier") == "flex" or document["model"] in self._config.batch_models
        return dataclasses.replace(request, lane="batch") if is_batch else request

    def _choose_partition(self, request: Request, record: ConsumerRecord) -> int | None:
        return choose_partition(request, record, self._config.partitions)

    def _refuse(
        self, request: Request, refusal: RequestRefusedError, now: int, record: ConsumerRecord
    ) -> ProducerRecord:
        event = settle_refused(
            _redact_idempotency_key(request, self._config.policies.for_tenant(request.tenant)),
            "expired" if refusal.failure is EXPIRED else "refused",
            refusal.failure,
            now,
            model=refusal.model,
            actions=refusal.actions,
            config_hash=self._config.config_hash,
        )
        topic = self._config.topics.outcomes
        return request_event_record(event, topic, self.name, now, partition=self._choose_partition(request, record))

    def _dead_letter(self, record: ConsumerRecord, error: InvalidRecordError) -> ProducerRecord:
        group = self._config.topics.group(self.name)
        name = type(error).__name__
        return dead_letter_record(record, stage=self.name, group=group, error=name, reason=error.failure.message)


def _apply_policy(document: JsonObject, policy: CompiledPolicy) -> tuple[JsonObject, tuple[PolicyAction, ...]]:
    """Return the body with the policy's masks, and the actions of the policy."""
    try:
        verdict = evaluate(document, policy)
    except UnscannableContentError as error:
        raise RequestRefusedError(
            invalid("input_not_screenable", str(error)), redact(document["model"], policy)
        ) from error
    if verdict.blocked is None:
        return verdict.document, verdict.actions
    failure = invalid("policy_violation", f"Blocked by policy rule {verdict.blocked}.")
    raise RequestRefusedError(failure, redact(document["model"], policy), verdict.actions)


def _keep_stream_topic(request: Request, document: JsonObject) -> Request:
    """Keep the topic of the chunks only if the body requests a stream."""
    is_streamed = request.operation == "chat" and bool(document.get("stream"))
    return request if is_streamed or not request.stream_topic else dataclasses.replace(request, stream_topic="")


def _redact_idempotency_key(request: Request, policy: CompiledPolicy) -> Request:
    """Apply the policy to the idempotency key, which later events carry beside the body."""
    key = request.idempotency_key
    clean = redact(key, policy) if key else key
    return request if clean == key else dataclasses.replace(request, idempotency_key=clean)
