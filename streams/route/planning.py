"""Route planning: from the model name of a request to an ordered list of targets."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from schemas.events.catalog import RequestAdmitted
from schemas.events.parts import Failure, Plan, Target
from streams.config.settings import Model, WeightedTarget
from streams.route.config import RouteConfig

MODELS_LISTED = 5
"""Models that a refusal names at most."""


def plan(admitted: RequestAdmitted, config: RouteConfig) -> Plan | Failure:
    """Return the targets to call, in order, or the failure of an unknown model.

    The order of a weighted model follows from the request id, so that a record that is read twice gets the same plan.
    """
    model = config.models.get(admitted.model) or _direct_target(admitted.model, config)
    if model is None:
        return _unknown_model(admitted, config)
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


def _direct_target(name: str, config: RouteConfig) -> Model | None:
    """Return a model of one target for a name like ``provider/model``, if the provider is configured."""
    provider, _, model = name.partition("/")
    return Model(targets=(WeightedTarget(target=name),)) if model and provider in config.providers else None


def _order_targets(model: Model, request_id: str) -> Sequence[WeightedTarget]:
    """Order the targets: as configured, or drawn by weight without replacement.

    The call stage orders the targets of the policy ``latency``.
    """
    if model.policy != "weighted":
        return model.targets
    ranked = sorted(enumerate(model.targets), key=lambda item: _weighted_rank(request_id, *item))
    return [target for _, target in ranked]


def _weighted_rank(request_id: str, index: int, target: WeightedTarget) -> float:
    """Draw an exponentially distributed rank. Sorting by such ranks draws by weight without replacement."""
    digest = hashlib.blake2b(f"{request_id}\0{index}\0{target.target}".encode(), digest_size=8).digest()
    uniform = (int.from_bytes(digest, "big") + 1) / (2**64 + 1)
    return -math.log(uniform) / target.weight


def _unknown_model(admitted: RequestAdmitted, config: RouteConfig) -> Failure:
    allowed = config.authorizer.allowed_models(admitted.request.tenant, admitted.request.key_id)
    more = ", …" if len(allowed) > MODELS_LISTED else ""
    known = f"Configured models: {', '.join(allowed[:MODELS_LISTED])}{more}." if allowed else "No model is configured."
    return Failure(
        status=404,
        type="invalid_request_error",
        code="model_not_found",
        message=f"Model {admitted.model[:100]!r} does not exist. {known} A name of the form provider/model also works.",
        param="model",
    )
