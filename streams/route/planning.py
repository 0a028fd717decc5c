"""Alias -> ordered targets."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from schemas.events.catalog import RequestAdmitted
from schemas.events.parts import Failure, Plan, Target
from streams.config.settings import Model, Settings, WeightedTarget
from streams.pipeline.authorization import Authorizer

MODELS_LISTED = 5
"""Of how many models a refusal tells."""


def plan(admitted: RequestAdmitted, settings: Settings) -> Plan | Failure:
    """Say which targets to try and in which order, or why there are none.

    A draw by weight follows from the request's id, so that a record read twice is planned the same way twice.
    """
    model = settings.models.get(admitted.model) or _direct_target(admitted.model, settings)
    if model is None:
        return _unknown_model(admitted, settings)
    timeout_ms = math.ceil(model.timeout_s * 1000)
    return Plan(
        alias=admitted.model,
        targets=tuple(
            Target(provider=target.provider, model=target.model, timeout_ms=timeout_ms)
            for target in _order_targets(model, admitted.request.request_id)
        ),
        max_attempts=model.max_attempts,
        on_in_doubt=model.on_in_doubt,
        on_oversize=model.on_oversize,
        policy=model.policy,
    )


def _direct_target(name: str, settings: Settings) -> Model | None:
    """Take ``provider/model`` as it stands, if there is such a provider."""
    provider, _, model = name.partition("/")
    return Model(targets=(WeightedTarget(target=name),)) if model and provider in settings.providers else None


def _order_targets(model: Model, request_id: str) -> Sequence[WeightedTarget]:
    """Put the targets in the order to try them: as written, or drawn by weight without putting back.

    By latency is for the call stage to say.
    """
    if model.policy != "weighted":
        return model.targets
    ranked = sorted(enumerate(model.targets), key=lambda item: _weighted_rank(request_id, *item))
    return [target for _, target in ranked]


def _weighted_rank(request_id: str, place: int, target: WeightedTarget) -> float:
    """Draw an exponential waiting time: who waits least comes first, which is a draw by weight."""
    digest = hashlib.blake2b(f"{request_id}\0{place}\0{target.target}".encode(), digest_size=8).digest()
    even = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -math.log(even) / target.weight


def _unknown_model(admitted: RequestAdmitted, settings: Settings) -> Failure:
    authorizer = Authorizer(settings.tenants, settings.keys, settings.models)
    known = authorizer.allowed_models(admitted.request.tenant, admitted.request.key_id)
    more = ", …" if len(known) > MODELS_LISTED else ""
    there_is = f"there is: {', '.join(known[:MODELS_LISTED])}{more}" if known else "no model is configured for you"
    return Failure(
        status=404,
        type="invalid_request_error",
        code="model_not_found",
        message=f"the model {admitted.model[:100]!r} does not exist here; {there_is}",
        param="model",
    )
