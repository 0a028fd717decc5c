"""The one end of a request, made from whatever of it a stage holds."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from schemas.events import (
    Failure,
    Outcome,
    PolicyAction,
    Request,
    RequestAdmitted,
    RequestRouted,
    RequestSettled,
)


def turned_away(
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


def settled(
    event: RequestAdmitted | RequestRouted,
    outcome: Outcome,
    failure: Failure | None,
    settled_at: int,
    *,
    config_hash: str = "",
    called: Mapping[str, object] = MappingProxyType({}),
) -> RequestSettled:
    """End an admitted request.

    Args:
        event: how far the request has come.
        outcome: how it ends.
        failure: why, unless answered.
        settled_at: milliseconds since the epoch.
        config_hash: of the configuration that decided; by default the event's.
        called: what became of its calls, as the event's fields.

    """
    return RequestSettled.model_validate(
        {
            "request": event.request,
            "outcome": outcome,
            "failure": failure,
            "model": event.model,
            "input": event.body,
            "labels": event.labels,
            "actions": event.actions,
            "admitted_at": event.admitted_at,
            "routed_at": event.routed_at if isinstance(event, RequestRouted) else None,
            "settled_at": settled_at,
            "config_hash": config_hash or event.config_hash,
            **called,
        }
    )
