"""The one end of a request, made from whatever of it a stage holds."""

from __future__ import annotations

from typing import TypedDict

from schemas.events.catalog import RequestAdmitted, RequestRouted, RequestSettled
from schemas.events.parts import Failure, PolicyAction, Request, Usage
from schemas.events.vocabulary import Outcome


class CallResult(TypedDict, total=False):
    """What became of the calls for a request, as the fields of its end."""

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
    """End a request that was not admitted. Its body is not kept: nobody has allowed it.

    Args:
        request: free of what the policy would take out of it.
        outcome: refused or expired.
        failure: why.
        settled_at: milliseconds since the epoch.
        model: that it asked for, if that may be kept.
        actions: of the policy.
        config_hash: of the configuration that decided.

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


def settle(
    event: RequestAdmitted | RequestRouted,
    outcome: Outcome,
    failure: Failure | None,
    settled_at: int,
    *,
    config_hash: str = "",
    called: CallResult | None = None,
) -> RequestSettled:
    """End an admitted request.

    Args:
        event: how far the request has come.
        outcome: how it ends.
        failure: why, unless answered.
        settled_at: milliseconds since the epoch.
        config_hash: of the configuration that decided; by default the event's.
        called: what became of its calls, if there were any.

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
        **(called or {}),
    )
