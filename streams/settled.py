"""The one end of a request, made from whatever event of it a stage holds."""

from __future__ import annotations

from schemas.events import Failure, Outcome, RequestAdmitted, RequestReceived, RequestRouted, RequestSettled


def settled(
    event: RequestReceived | RequestAdmitted | RequestRouted,
    outcome: Outcome,
    failure: Failure | None,
    settled_at: int,
    *,
    config_hash: str = "",
) -> RequestSettled:
    """End the request of this event. The body of a ``RequestReceived`` is not kept: nobody has allowed it.

    Args:
        event: how far the request has come.
        outcome: how it ends.
        failure: why, unless answered.
        settled_at: milliseconds since the epoch.
        config_hash: of the configuration that decided; by default the event's.

    """
    if isinstance(event, RequestReceived):
        return RequestSettled(
            request=event.request, outcome=outcome, failure=failure, settled_at=settled_at, config_hash=config_hash
        )
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
    )
