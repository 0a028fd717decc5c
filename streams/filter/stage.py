"""Filter: what comes in is a request of somebody who may ask, and goes on with nothing in it that may not be kept."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from schemas.events.catalog import RequestAdmitted
from schemas.events.parts import Failure, PolicyAction, Request
from schemas.kafka.records import Output, Record
from schemas.openai import bodies as openai
from schemas.openai.errors import invalid
from streams.config.settings import Settings
from streams.filter.partitioning import place
from streams.filter.request_parsing import Arrival, UnreadableError, receive
from streams.pipeline.authorization import Permissions
from streams.pipeline.dead_letters import laid_aside
from streams.pipeline.failures import EXPIRED
from streams.pipeline.producer_records import written
from streams.pipeline.settlement import turned_away
from streams.policy.body_text import UnscreenableError
from streams.policy.rules import Rules, screen, scrubbed


class InadmissibleError(Exception):
    """The request goes no further."""

    def __init__(self, failure: Failure, model: str = "", actions: tuple[PolicyAction, ...] = ()) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.model = model
        self.actions = actions


class Filter:
    """The stage: ``RequestReceived`` or a service's JSON in, ``RequestAdmitted`` or a refusal out."""

    name = "filter"

    def __init__(self, settings: Settings, clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000) -> None:
        self._settings = settings
        self._clock = clock
        self._permissions = Permissions(settings)
        self._rules = functools.cache(lambda tenant: Rules(settings.policy(tenant)))

    def handle(self, record: Record) -> Sequence[Output]:
        """Admit the request or end it. What no reader can read is kept with the dead letters as well."""
        now = self._clock()
        try:
            arrival = receive(record, self._settings, now)
        except UnreadableError as error:
            ended = self._ended(error.request, InadmissibleError(error.failure), now, record)
            return [ended, self._laid_aside(record, error)] if error.dead_letter else [ended]
        try:
            admitted = self.decide(arrival, now)
        except InadmissibleError as refusal:
            return [self._ended(arrival.request, refusal, now, record)]
        topic = self._settings.topics.way(admitted.request.lane).admitted
        return [written(admitted, topic, self.name, now, partition=self._place(admitted.request, record))]

    def decide(self, arrival: Arrival, now: int) -> RequestAdmitted:
        """Say what goes on.

        Raises:
            InadmissibleError: nothing does.

        """
        request, rules = arrival.request, self._rules(arrival.request.tenant)
        failure = EXPIRED if now >= request.deadline_at else self._permissions.refusal(request)
        if failure is not None:
            raise InadmissibleError(failure)
        if isinstance(arrival.document, Failure):
            raise InadmissibleError(arrival.document)
        failure = openai.fault(request.operation, arrival.document)
        if failure is not None:
            raise InadmissibleError(failure)
        document, actions = _screened(arrival.document, rules)
        failure = self._permissions.model_refusal(request, document["model"])
        if failure is not None:
            raise InadmissibleError(failure, document["model"], actions)
        return RequestAdmitted(
            request=self._laned(_streaming(_clean(request, rules), document), document),
            model=document["model"],
            # a rule saw the document, not the text: of a name that comes twice in that, only the last was seen
            body=(orjson.dumps(document) if rules.strict else arrival.body).decode(),
            labels=document.get("metadata") or {},
            actions=actions,
            admitted_at=now,
            config_hash=self._settings.hash,
        )

    def _laned(self, request: Request, document: dict[str, Any]) -> Request:
        """Put it into the batch lane if its model is of that, or if its caller is content to wait as OpenAI has it."""
        model = self._settings.models.get(document["model"])
        batch = document.get("service_tier") == "flex" or (model is not None and model.lane == "batch")
        return request.model_copy(update={"lane": "batch"}) if batch else request

    def _place(self, request: Request, record: Record) -> int | None:
        return place(request, record, self._settings.kafka.partitions)

    def _ended(self, request: Request, refusal: InadmissibleError, now: int, record: Record) -> Output:
        event = turned_away(
            _clean(request, self._rules(request.tenant)),
            "expired" if refusal.failure is EXPIRED else "refused",
            refusal.failure,
            now,
            model=refusal.model,
            actions=refusal.actions,
            config_hash=self._settings.hash,
        )
        topic = self._settings.topics.outcomes
        return written(event, topic, self.name, now, partition=self._place(request, record))

    def _laid_aside(self, record: Record, error: UnreadableError) -> Output:
        group = self._settings.topics.group(self.name)
        name = type(error).__name__
        return laid_aside(record, stage=self.name, group=group, error=name, reason=error.failure.message)


def _screened(document: dict[str, Any], rules: Rules) -> tuple[dict[str, Any], tuple[PolicyAction, ...]]:
    """Return the body as the policy leaves it, and what the policy did."""
    try:
        verdict = screen(document, rules)
    except UnscreenableError as error:
        raise InadmissibleError(
            invalid("input_not_screenable", str(error)), scrubbed(document["model"], rules)
        ) from error
    if verdict.blocked is None:
        return verdict.document, verdict.actions
    message = f"the policy for your requests refuses this one, by its rule {verdict.blocked}"
    failure = invalid("policy_violation", message)
    raise InadmissibleError(failure, scrubbed(document["model"], rules), verdict.actions)


def _streaming(request: Request, document: dict[str, Any]) -> Request:
    """Keep the place for chunks only if the body asks for them."""
    wanted = request.operation == "chat" and bool(document.get("stream"))
    return request if wanted or not request.stream_topic else request.model_copy(update={"stream_topic": ""})


def _clean(request: Request, rules: Rules) -> Request:
    """Free what goes on beside the body from what the policy would take out of it: the caller's own name for it."""
    name = request.idempotency_key
    clean = scrubbed(name, rules) if name else name
    return request if clean == name else request.model_copy(update={"idempotency_key": clean})
