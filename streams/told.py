"""What events of a request tell alike, as columns: who asked, what was counted, done and changed."""

from __future__ import annotations

import orjson

from schemas.compiled import recurs
from schemas.events import Change, PolicyAction, Request, Usage
from streams.asking import trace

Facts = dict[str, object]
"""Columns by name."""
_MOST = 2048
_asked: dict[int, tuple[Request, Facts]] = {}
"""Of requests told lately, by identity: they are held here, so that none is another's."""


def asked(request: Request) -> Facts:
    """Who asked, and under which names it can be found again. Made once for all events that share the request."""
    known = _asked.get(id(request))
    if known is not None and known[0] is request:
        return known[1]
    told = _who(request)
    if recurs(request):
        if len(_asked) >= _MOST:
            _asked.clear()
        _asked[id(request)] = request, told
    return told


def _who(request: Request) -> Facts:
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
