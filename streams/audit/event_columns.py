"""Columns of ``events_log`` for the events of one class. Columns without a value in that class are left out.

Each text is stored once: the input with RequestAdmitted, the output with AttemptFinished. If the request was translated
for the provider, the translated body is the input of AttemptFinished. The row builder adds the requester's columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from schemas.events.catalog import (
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
from schemas.events.parts import Plan
from schemas.kafka.request_headers import MAX_TIMEOUT_MS
from streams.audit.shared_columns import (
    changes_json,
    deadline_attributes,
    lane_attributes,
    outcome_columns,
    policy_actions,
    trace_id,
    usage_columns,
)
from streams.audit.tables import Columns


def _request_received(events: Sequence[RequestReceived]) -> Columns:
    # the policy has not screened the caller's text yet, its request name and correlation id included
    requests = [event.request for event in events]
    return {
        "source": [request.source for request in requests],
        "operation": [request.operation for request in requests],
        "trace_id": [trace_id(request.traceparent) for request in requests],
        "attributes": [
            deadline_attributes(request) if 0 < request.deadline_at - request.received_at <= MAX_TIMEOUT_MS else {}
            for request in requests
        ],
    }


def _request_admitted(events: Sequence[RequestAdmitted]) -> Columns:
    return _decision(events) | {
        "event_time": [event.admitted_at for event in events],
        "stage": "filter",
        "duration_ms": [event.admitted_at - event.request.received_at for event in events],
        "attributes": [deadline_attributes(event.request) for event in events],
        "input": [event.body for event in events],
    }


def _request_routed(events: Sequence[RequestRouted]) -> Columns:
    plans = {id(event.plan): event.plan for event in events}  # many requests share a plan
    attributes = {key: _plan_attributes(plan) for key, plan in plans.items()}
    return _decision(events) | {
        "event_time": [event.routed_at for event in events],
        "stage": "route",
        "duration_ms": [event.routed_at - event.admitted_at for event in events],
        "attributes": [attributes[id(event.plan)] for event in events],
    }


def _decision(events: Sequence[RequestAdmitted | RequestRouted]) -> Columns:
    return {
        "request_model": [event.model for event in events],
        "labels": [event.labels for event in events],
        "policy_actions": [policy_actions(event.actions) for event in events],
        "config_hash": [event.config_hash for event in events],
    }


def _plan_attributes(plan: Plan) -> dict[str, str]:
    return {
        "targets": ",".join(f"{target.provider}/{target.model}" for target in plan.targets),
        "policy": plan.policy,
        "max_attempts": str(plan.max_attempts),
    }


def _attempt_started(events: Sequence[AttemptStarted]) -> Columns:
    return _attempt_columns(events) | {
        "event_time": [event.started_at for event in events],
        "attributes": [
            {
                "expires_in_ms": str(event.expires_at - event.started_at),
                "waited_ms": str(event.waited_ms),
                "in_flight_limit": str(event.in_flight_limit),
            }
            for event in events
        ],
    }


def _attempt_withdrawn(events: Sequence[AttemptWithdrawn]) -> Columns:
    return _attempt_columns(events) | {"event_time": [event.withdrawn_at for event in events]}


def _attempt_finished(events: Sequence[AttemptFinished]) -> Columns:
    return (
        _attempt_columns(events)
        | usage_columns([event.usage for event in events])
        | {
            "event_time": [event.finished_at for event in events],
            "response_model": [event.response_model for event in events],
            "error_type": [event.error_type or "" for event in events],
            "error_message": [event.error_message for event in events],
            "http_status": [event.http_status or 0 for event in events],
            "finish_reasons": [event.finish_reasons for event in events],
            "cost_usd": [event.cost_usd for event in events],
            "duration_ms": [event.finished_at - event.started_at for event in events],
            "attributes": [_response_attributes(event) for event in events],
            "input": [event.sent for event in events],
            "output": [event.body for event in events],
        }
    )


def _attempt_columns(events: Sequence[AttemptStarted | AttemptWithdrawn | AttemptFinished]) -> Columns:
    return {
        "stage": "call",
        "provider": [event.provider for event in events],
        "provider_model": [event.model for event in events],
        "attempt": [event.attempt for event in events],
        "worker": [event.worker for event in events],
    }


def _response_attributes(event: AttemptFinished) -> dict[str, str]:
    attributes = {}
    if event.retry_after_ms is not None:
        attributes["retry_after_ms"] = str(event.retry_after_ms)
    if event.key_index is not None:
        attributes["key_index"] = str(event.key_index)
    if event.response_id:
        attributes["response_id"] = event.response_id
    if event.changes:
        attributes["changes"] = changes_json(event.changes)
    if event.native_usage:
        attributes["native_usage"] = event.native_usage
    return attributes


def _request_settled(events: Sequence[RequestSettled]) -> Columns:
    return outcome_columns(events) | {
        "event_time": [event.settled_at for event in events],
        "attempt": [event.attempts for event in events],
        "attributes": [
            lane_attributes(event.request) | ({"replayed": "true"} if event.replayed else {}) for event in events
        ],
    }


def _feedback_given(events: Sequence[FeedbackGiven]) -> Columns:
    return {
        "tenant": [event.tenant for event in events],
        "request_id": [event.request_id for event in events],
        "event_time": [event.given_at for event in events],
        "stage": "ingress",
        "labels": [{"label": event.label} if event.label else {} for event in events],
        "attributes": [{} if event.score is None else {"score": str(event.score)} for event in events],
        "input": [event.comment for event in events],
    }


def _configuration_applied(events: Sequence[ConfigurationApplied]) -> Columns:
    return {
        "event_time": [event.applied_at for event in events],
        "config_hash": [event.config_hash for event in events],
        "attributes": [{"configuration": event.configuration} for event in events],
    }


def _target_state_changed(events: Sequence[TargetStateChanged]) -> Columns:
    return {
        "event_time": [event.changed_at for event in events],
        "stage": "call",
        "provider": [event.provider for event in events],
        "provider_model": [event.model for event in events],
        "worker": [event.worker for event in events],
        "error_type": [event.reason if event.state == "open" else "" for event in events],
        "attributes": [
            {
                "state": event.state,
                "reason": event.reason,
                "failure_ratio": f"{event.failure_ratio:.3g}",
                "cooldown_ms": str(event.cooldown_ms),
            }
            for event in events
        ],
    }


COLUMN_BUILDERS: dict[type[Event], Callable[[Sequence[Any]], Columns]] = {
    RequestReceived: _request_received,
    RequestAdmitted: _request_admitted,
    RequestRouted: _request_routed,
    AttemptStarted: _attempt_started,
    AttemptWithdrawn: _attempt_withdrawn,
    AttemptFinished: _attempt_finished,
    RequestSettled: _request_settled,
    FeedbackGiven: _feedback_given,
    ConfigurationApplied: _configuration_applied,
    TargetStateChanged: _target_state_changed,
}
"""Function of each event class that returns the columns of one event or more. The stage is one value for all rows."""
