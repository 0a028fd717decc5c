"""Settlement: the event that ends a request, built from the request's last event."""

from __future__ import annotations

from typing import TypedDict

from schemas.events.catalog import RequestAdmitted, RequestRouted, RequestSettled
from schemas.events.parts import Failure, PolicyAction, Request, Usage
from schemas.events.vocabulary import Outcome
from streams.pipeline.failures import INTERNAL_ERROR


class CallResult(TypedDict, total=False):
    """Result of the provider calls of a request, as fields of ``RequestSettled``."""

    provider: str
    provider_model: str
    response_id: str
    response_model: str
    finish_reasons: tuple[str, ...]
    usage: Usage
    cost_usd: str | None
    attempts: int
    output: str
    called_at: int | None
    answered_at: int | None
    replayed: bool


def settle_refused(
    request: Request,
    outcome: Outcome,
    failure: Failure,
    settled_at: int,
    *,
    model: str = "",
    actions: tuple[PolicyAction, ...] = (),
    config_hash: str,
) -> RequestSettled:
    """Settle a request that was not admitted. Its body is not recorded, because no policy has allowed it.

    Args:
        request: without the data that the policy would remove.
        outcome: refused or expired.
        failure: the reason.
        settled_at: milliseconds since the epoch.
        model: the requested model, if it may be recorded.
        actions: the policy's actions.
        config_hash: hash of the configuration in force.

    """
    return RequestSettled(
        request=request,
        outcome=outcome,
        failure=failure,
        model=model,
        actions=actions,
        settled_at=settled_at,
        config_hash=config_hash,
    )


def settle_internal_error(
    request: Request, settled_at: int, *, model: str = "", config_hash: str = ""
) -> RequestSettled:
    """Settle a request on which a stage raised. It has no body, because the body may be the reason of the failure.

    Args:
        request: without the data that the policy would remove.
        settled_at: milliseconds since the epoch.
        model: the requested model, if it may be recorded.
        config_hash: hash of the configuration in force.

    """
    return settle_refused(request, "failed", INTERNAL_ERROR, settled_at, model=model, config_hash=config_hash)


def settle(
    event: RequestAdmitted | RequestRouted,
    outcome: Outcome,
    failure: Failure | None,
    settled_at: int,
    *,
    config_hash: str = "",
    call_result: CallResult | None = None,
) -> RequestSettled:
    """Settle an admitted request.

    Args:
        event: the request's last event.
        outcome: the final state.
        failure: the reason, unless answered.
        settled_at: milliseconds since the epoch.
        config_hash: hash of the configuration in force; by default the event's.
        call_result: result of the provider calls, if there were any.

    """
    return RequestSettled(
        request=event.request,
        outcome=outcome,
        failure=failure,
        model=event.model,
        input=event.body,
        labels=event.labels,
        actions=event.actions,
        admitted_at=event.admitted_at,
        routed_at=event.routed_at if isinstance(event, RequestRouted) else None,
        settled_at=settled_at,
        config_hash=config_hash or event.config_hash,
        **(call_result or {}),
    )
