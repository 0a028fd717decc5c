"""What each event says, as columns of ``events_log``. Columns that an event does not speak of are left out."""

from __future__ import annotations

from functools import singledispatch

import orjson

from schemas.events import (
    AttemptFinished,
    AttemptStarted,
    Change,
    ConfigurationApplied,
    Event,
    FeedbackGiven,
    PolicyAction,
    Request,
    RequestAdmitted,
    RequestReceived,
    RequestRouted,
    RequestSettled,
    TargetStateChanged,
    Usage,
)
from streams.asking import MAX_DEADLINE_MS, trace

Facts = dict[str, object]
"""Columns by name."""


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


def asked(request: Request) -> Facts:
    """Who asked, and under which names it can be found again."""
    return {
        "tenant": request.tenant,
        "request_id": request.request_id,
        "idempotency_key": request.idempotency_key,
        "correlation_id": correlation(request),
        "trace_id": trace_id(request.traceparent),
        "source": request.source,
        "key_id": request.key_id,
        "operation": request.operation,
    }


def allowed(request: Request) -> dict[str, str]:
    """How long the caller waits: by this the view `unsettled` knows what is overdue."""
    return {"allowed_ms": str(request.deadline_at - request.received_at)} | laned(request)


def laned(request: Request) -> dict[str, str]:
    """Which lane it takes, if not the usual one."""
    return {} if request.lane == "interactive" else {"lane": request.lane}


def counted(usage: Usage) -> Facts:
    """Tokens, each kind in its column."""
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_input_tokens": usage.cache_read_input_tokens,
        "cache_creation_input_tokens": usage.cache_creation_input_tokens,
        "reasoning_output_tokens": usage.reasoning_output_tokens,
    }


def actions(taken: tuple[PolicyAction, ...]) -> list[str]:
    """What each rule did, as ``rule:action``: never how often, so that few strings serve many rows."""
    return [f"{action.rule}:{action.action}" for action in taken]


def changed(changes: tuple[Change, ...]) -> str:
    """How what was sent differs from what was asked, as JSON; empty if it does not. Never a value."""
    return orjson.dumps([change.model_dump() for change in changes]).decode() if changes else ""


def correlation(request: Request) -> str:
    """The caller's correlation id: as text if it is any, else in hexadecimal."""
    values = [header.value for header in request.reply_to.correlation] if request.reply_to else []
    return readable(values[0]) if values else ""


def readable(value: bytes) -> str:
    """Bytes as text if they are printable UTF-8, else in hexadecimal."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


def trace_id(traceparent: str) -> str:
    """The second field of a W3C traceparent; empty if it is none."""
    return trace(traceparent)[3:35]
