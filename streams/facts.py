"""What each event says, as columns of ``events_log``. Columns that an event does not speak of are left out."""

from __future__ import annotations

from functools import singledispatch

from schemas.events import (
    AttemptFinished,
    AttemptStarted,
    AttemptWithdrawn,
    ConfigurationApplied,
    Event,
    FeedbackGiven,
    RequestAdmitted,
    RequestReceived,
    RequestRouted,
    RequestSettled,
    TargetStateChanged,
)
from streams.asking import MAX_DEADLINE_MS
from streams.told import Facts, actions, allowed, asked, changed, counted, laned, trace_id


@singledispatch
def facts(event: Event) -> Facts:
    """The columns of an event. A text is kept once: input when it is admitted, output when an attempt brings it.

    What a provider was sent is another text, if it was translated: it is the input of the attempt.
    """
    raise NotImplementedError(f"{type(event).__name__} has no columns yet: say them in streams/facts.py")


@facts.register
def _(event: RequestReceived) -> Facts:
    # no rule has seen it yet: what its caller wrote, its name and its correlation id included, is the filter's alone
    request = event.request
    return {
        "source": request.source,
        "operation": request.operation,
        "trace_id": trace_id(request.traceparent),
        "attributes": allowed(request) if 0 < request.deadline_at - request.received_at <= MAX_DEADLINE_MS else {},
    }


@facts.register
def _(event: RequestAdmitted) -> Facts:
    return asked(event.request) | {
        "event_time": event.admitted_at,
        "stage": "filter",
        "request_model": event.model,
        "labels": event.labels,
        "policy_actions": actions(event.actions),
        "duration_ms": event.admitted_at - event.request.received_at,
        "config_hash": event.config_hash,
        "attributes": allowed(event.request),
        "input": event.body,
    }


@facts.register
def _(event: RequestRouted) -> Facts:
    targets = ",".join(f"{target.provider}/{target.model}" for target in event.plan.targets)
    return asked(event.request) | {
        "event_time": event.routed_at,
        "stage": "route",
        "request_model": event.model,
        "labels": event.labels,
        "policy_actions": actions(event.actions),
        "duration_ms": event.routed_at - event.admitted_at,
        "config_hash": event.config_hash,
        "attributes": {
            "targets": targets,
            "policy": event.plan.policy,
            "max_attempts": str(event.plan.max_attempts),
        },
    }


@facts.register
def _(event: AttemptStarted) -> Facts:
    return asked(event.request) | {
        "event_time": event.started_at,
        "stage": "call",
        "provider": event.provider,
        "provider_model": event.model,
        "attempt": event.attempt,
        "worker": event.worker,
        "attributes": {
            "expires_in_ms": str(event.expires_at - event.started_at),
            "waited_ms": str(event.waited_ms),
            "in_flight_limit": str(event.in_flight_limit),
        },
    }


@facts.register
def _(event: AttemptWithdrawn) -> Facts:
    return asked(event.request) | {
        "event_time": event.withdrawn_at,
        "stage": "call",
        "provider": event.provider,
        "provider_model": event.model,
        "attempt": event.attempt,
        "worker": event.worker,
    }


@facts.register
def _(event: AttemptFinished) -> Facts:
    said = {
        "retry_after_ms": event.retry_after_ms,
        "key_index": event.key_index,
        "response_id": event.response_id or None,
        "changes": changed(event.changes) or None,
        "native_usage": event.native_usage or None,
    }
    return (
        asked(event.request)
        | counted(event.usage)
        | {
            "event_time": event.finished_at,
            "stage": "call",
            "provider": event.provider,
            "provider_model": event.model,
            "response_model": event.response_model,
            "attempt": event.attempt,
            "worker": event.worker,
            "error_type": event.error_type or "",
            "error_message": event.error_message,
            "http_status": event.http_status or 0,
            "finish_reasons": list(event.finish_reasons),
            "cost_usd": event.cost_usd,
            "duration_ms": event.finished_at - event.started_at,
            "attributes": {name: str(value) for name, value in said.items() if value is not None},
            "input": event.sent,
            "output": event.body,
        }
    )


@facts.register
def _(event: RequestSettled) -> Facts:
    failure = event.failure
    return (
        asked(event.request)
        | counted(event.usage)
        | {
            "event_time": event.settled_at,
            "provider": event.provider,
            "request_model": event.model,
            "provider_model": event.provider_model,
            "response_model": event.response_model,
            "outcome": event.outcome,
            "error_type": failure.code if failure else "",
            "error_message": failure.message if failure else "",
            "http_status": failure.status if failure else 200,
            "attempt": event.attempts,
            "finish_reasons": list(event.finish_reasons),
            "policy_actions": actions(event.actions),
            "labels": event.labels,
            "cost_usd": event.cost_usd,
            "duration_ms": event.settled_at - event.request.received_at,
            "config_hash": event.config_hash,
            "attributes": laned(event.request) | ({"replayed": "true"} if event.replayed else {}),
        }
    )


@facts.register
def _(event: FeedbackGiven) -> Facts:
    return {
        "tenant": event.tenant,
        "request_id": event.request_id,
        "event_time": event.given_at,
        "stage": "ingress",
        "labels": {"label": event.label} if event.label else {},
        "attributes": {} if event.score is None else {"score": str(event.score)},
        "input": event.comment,
    }


@facts.register
def _(event: ConfigurationApplied) -> Facts:
    return {
        "event_time": event.applied_at,
        "config_hash": event.config_hash,
        "attributes": {"configuration": event.configuration},
    }


@facts.register
def _(event: TargetStateChanged) -> Facts:
    return {
        "event_time": event.changed_at,
        "stage": "call",
        "provider": event.provider,
        "provider_model": event.model,
        "worker": event.worker,
        "error_type": event.reason if event.state == "open" else "",
        "attributes": {
            "state": event.state,
            "reason": event.reason,
            "failure_ratio": f"{event.failure_ratio:.3g}",
            "cooldown_ms": str(event.cooldown_ms),
        },
    }
