"""The outermost layer: every response says which request it belongs to, every request is timed, no crash shows."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from schemas.events.request_id import new_request_id
from streams.ingress.errors import ApiError
from streams.ingress.metrics import Metrics

REQUEST_ID = "sluice.request_id"
"""In the ASGI scope: the id for X-Request-Id. Fresh at first; whoever learns a better one writes it there."""

CLIENT_CLOSED_REQUEST = 499
"""The status under which a caller that left without an answer is counted, as in nginx."""

ID_HEADERS = (b"x-request-id", b"request-id")
"""OpenAI's clients show their user the first, Anthropic's the second."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger()


class RequestMiddleware:
    """An ASGI application around another.

    Args:
        app: may end a request with any exception.
        metrics: count what was refused, and how long everything took.
        explain: makes the response of an exception.

    """

    def __init__(self, app: ASGIApp, metrics: Metrics, explain: Callable[[Scope, Exception], Response]) -> None:
        self._app = app
        self._metrics = metrics
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass an HTTP request on, and stamp its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = new_request_id()
        started = time.perf_counter()
        status: int | None = None

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = scope[REQUEST_ID].encode()
                message["headers"].extend((name, request_id) for name in ID_HEADERS)
            await send(message)

        try:
            try:
                await self._app(scope, receive, stamped)
            except Exception as error:
                if status is not None:
                    raise  # its response has begun, and nothing else can be said any more
                if isinstance(error, ApiError):
                    self._metrics.refused.labels(error.failure.code).inc()
                await self._explain(scope, error)(scope, receive, stamped)
                if not isinstance(error, (ApiError, HTTPException)):
                    raise
        except Exception:  # noqa: BLE001 - a crash of one request must not show, nor end the others
            _log.exception("request.crashed", request_id=scope[REQUEST_ID])
        finally:
            self._observe(scope, status or CLIENT_CLOSED_REQUEST, time.perf_counter() - started)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        # What the caller can make up must not become a label.
        path = route.path if route is not None else "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        self._metrics.requests.labels(method, path, str(status)).observe(seconds)
