"""Columns that several event classes share: requester, token usage, policy actions, parameter changes and outcome."""

from __future__ import annotations

from collections.abc import Sequence

import orjson

from schemas.events.catalog import RequestSettled
from schemas.events.parts import Change, Failure, PolicyAction, Request, Usage
from streams.audit.tables import Columns
from streams.pipeline.request_metadata import valid_traceparent

_REQUESTER_COLUMNS = (
    "tenant",
    "request_id",
    "idempotency_key",
    "correlation_id",
    "trace_id",
    "source",
    "key_id",
    "operation",
)


class RequesterColumns:
    """Columns of the requesters of one batch, computed once for each ``Request`` object.

    The events of a request share one object, because the Avro reader interns it. Objects are known by their ``id()``,
    so the events of the batch must outlive this.
    """

    def __init__(self) -> None:
        self._values: dict[int, tuple[str, ...]] = {}

    def columns(self, requests: Sequence[Request]) -> Columns:
        """Return tenant, key, ids and trace of each request; at least one request is needed."""
        values = zip(*map(self._values_of, requests), strict=True)
        return dict(zip(_REQUESTER_COLUMNS, map(list, values), strict=True))

    def _values_of(self, request: Request) -> tuple[str, ...]:
        values = self._values.get(id(request))
        if values is None:
            values = self._values[id(request)] = (
                request.tenant,
                request.request_id,
                request.idempotency_key,
                correlation(request),
                trace_id(request.traceparent),
                request.source,
                request.key_id,
                request.operation,
            )
        return values


def deadline_attributes(request: Request) -> dict[str, str]:
    """Return the deadline as an attribute. The view `unsettled` finds overdue requests by it."""
    return {"allowed_ms": str(request.deadline_at - request.received_at), **lane_attributes(request)}


def lane_attributes(request: Request) -> dict[str, str]:
    """Return the lane as an attribute, unless it is interactive."""
    return {} if request.lane == "interactive" else {"lane": request.lane}


def usage_columns(usages: Sequence[Usage]) -> Columns:
    """Return the token counts, each in its column."""
    return {
        "input_tokens": [usage.input_tokens for usage in usages],
        "output_tokens": [usage.output_tokens for usage in usages],
        "cache_read_input_tokens": [usage.cache_read_input_tokens for usage in usages],
        "cache_creation_input_tokens": [usage.cache_creation_input_tokens for usage in usages],
        "reasoning_output_tokens": [usage.reasoning_output_tokens for usage in usages],
    }


def outcome_columns(events: Sequence[RequestSettled]) -> Columns:
    """Return the columns of outcomes that both tables have."""
    return (
        usage_columns([event.usage for event in events])
        | _error_columns([event.failure for event in events])
        | {
            "request_model": [event.model for event in events],
            "provider": [event.provider for event in events],
            "provider_model": [event.provider_model for event in events],
            "response_model": [event.response_model for event in events],
            "outcome": [event.outcome for event in events],
            "finish_reasons": [event.finish_reasons for event in events],
            "policy_actions": [policy_actions(event.actions) for event in events],
            "labels": [event.labels for event in events],
            "cost_usd": [event.cost_usd for event in events],
            "duration_ms": [event.settled_at - event.request.received_at for event in events],
            "config_hash": [event.config_hash for event in events],
        }
    )


def _error_columns(failures: Sequence[Failure | None]) -> Columns:
    """Return the errors of outcomes; an answered request has HTTP status 200 and no error."""
    return {
        "error_type": [failure.code if failure else "" for failure in failures],
        "error_message": [failure.message if failure else "" for failure in failures],
        "http_status": [failure.status if failure else 200 for failure in failures],
    }


def policy_actions(actions: tuple[PolicyAction, ...]) -> list[str]:
    """Return the actions as ``rule:action``, without counts, so that the column has few distinct values."""
    return [f"{action.rule}:{action.action}" for action in actions]


def changes_json(changes: tuple[Change, ...]) -> str:
    """Return parameter changes as JSON, without values; empty if there are none."""
    return orjson.dumps(changes).decode() if changes else ""


def correlation(request: Request) -> str:
    """Return the caller's correlation id as text, or in hexadecimal if it is not printable UTF-8."""
    values = [header.value for header in request.reply_to.correlation] if request.reply_to else []
    return text_or_hex(values[0]) if values else ""


def text_or_hex(value: bytes) -> str:
    """Return bytes as text if they are printable UTF-8, else in hexadecimal."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return value.hex()
    return text if text.isprintable() else value.hex()


def trace_id(traceparent: str) -> str:
    """Return the trace id of a W3C traceparent; empty if it is invalid."""
    return valid_traceparent(traceparent)[3:35]
