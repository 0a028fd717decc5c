"""Route: from the name that a caller used to the ordered targets that the call stage walks."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence

from schemas.codec import decode
from schemas.events import Failure, Outcome, Plan, RequestAdmitted, RequestRouted, Target
from schemas.records import Output, Record
from streams.failures import EXPIRED
from streams.permissions import Permissions
from streams.settings import Model, Settings, WeightedTarget
from streams.settled import settled
from streams.stage import DeadLetterError
from streams.writing import written

LISTED = 5
"""Of how many models a refusal tells."""
PLANS = 1024
"""Kept of models whose targets stand in one order. A caller may name as many as it likes: then all are made anew."""
LONGEST_NAME = 256
"""Characters of the name of a model whose plan is kept: callers may make names as long as a body."""


def plan(admitted: RequestAdmitted, settings: Settings) -> Plan | Failure:
    """Say which targets to try and in which order, or why there are none.

    A draw by weight follows from the request's id, so that a record read twice is planned the same way twice.
    """
    model = settings.models.get(admitted.model) or _direct(admitted.model, settings)
    if model is None:
        return _unknown(admitted, settings)
    timeout_ms = math.ceil(model.timeout_s * 1000)
    return Plan(
        alias=admitted.model,
        targets=tuple(
            Target(provider=target.provider, model=target.model, timeout_ms=timeout_ms)
            for target in _ordered(model, admitted.request.request_id)
        ),
        max_attempts=model.max_attempts,
        on_in_doubt=model.on_in_doubt,
        on_oversize=model.on_oversize,
        policy=model.policy,
    )


def _direct(name: str, settings: Settings) -> Model | None:
    """Take ``provider/model`` as it stands, if there is such a provider."""
    provider, _, model = name.partition("/")
    return Model(targets=(WeightedTarget(target=name),)) if model and provider in settings.providers else None


def _ordered(model: Model, request_id: str) -> Sequence[WeightedTarget]:
    """Put the targets in the order to try them: as written, or drawn by weight without putting back.

    By latency is for the call stage to say.
    """
    if model.policy != "weighted":
        return model.targets
    ranked = sorted(enumerate(model.targets), key=lambda item: _wait(request_id, *item))
    return [target for _, target in ranked]


def _wait(request_id: str, place: int, target: WeightedTarget) -> float:
    """Draw an exponential waiting time: who waits least comes first, which is a draw by weight."""
    digest = hashlib.blake2b(f"{request_id}\0{place}\0{target.target}".encode(), digest_size=8).digest()
    even = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -math.log(even) / target.weight


def _unknown(admitted: RequestAdmitted, settings: Settings) -> Failure:
    known = Permissions(settings).aliases(admitted.request.tenant, admitted.request.key_id)
    more = ", …" if len(known) > LISTED else ""
    there_is = f"there is: {', '.join(known[:LISTED])}{more}" if known else "no model is configured for you"
    return Failure(
        status=404,
        type="invalid_request_error",
        code="model_not_found",
        message=f"the model {admitted.model[:100]!r} does not exist here; {there_is}",
        param="model",
    )


class Route:
    """The stage: ``RequestAdmitted`` in, ``RequestRouted`` or a refusal out."""

    name = "route"

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._clock = clock
        self._plans: dict[str, Plan] = {}

    def handle(self, record: Record) -> Sequence[Output]:
        """Plan the request, unless nobody waits for it any more."""
        admitted = decode(record.value or b"")
        if not isinstance(admitted, RequestAdmitted):
            raise DeadLetterError(f"{type(admitted).__name__} does not belong on {record.topic}")
        now = int(self._clock() * 1000)
        if now >= admitted.request.deadline_at:
            return [self._end(admitted, "expired", EXPIRED, now, record.partition)]
        planned = self._plan(admitted)
        if isinstance(planned, Failure):
            return [self._end(admitted, "refused", planned, now, record.partition)]
        topic = self._settings.topics.way(admitted.request.lane).routed
        return [written(self._routed(admitted, planned, now), topic, self.name, now, partition=record.partition)]

    def _plan(self, admitted: RequestAdmitted) -> Plan | Failure:
        """Plan the request, or find the plan that every request of its model has."""
        if (known := self._plans.get(admitted.model)) is not None:
            return known
        planned = plan(admitted, self._settings)
        if isinstance(planned, Plan) and planned.policy != "weighted" and len(planned.alias) <= LONGEST_NAME:
            if len(self._plans) >= PLANS:
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

    def _end(self, admitted: RequestAdmitted, outcome: Outcome, failure: Failure, now: int, partition: int) -> Output:
        event = settled(admitted, outcome, failure, now, config_hash=self._settings.hash)
        return written(event, self._settings.topics.outcomes, self.name, now, partition=partition)
