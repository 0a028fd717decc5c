"""Outermost ASGI middleware: it is the one place that every request and every response passes.

It adds the request id to responses, cleans their headers, measures requests, and hides crashes.
"""

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
from streams.ingress.requests.body import ClientDisconnectedError
from streams.ingress.response_headers import clean_headers

REQUEST_ID = "sluice.request_id"
"""Key in the ASGI scope: the id for X-Request-Id. It is new at first; the endpoint replaces it by the request's own."""

CLIENT_CLOSED_REQUEST = 499
"""Status in metrics of a client that disconnected before its response, as in nginx."""

ID_HEADERS = (b"x-request-id", b"request-id")
"""OpenAI's clients read the first, Anthropic's the second."""

NOSNIFF = (b"x-content-type-options", b"nosniff")
"""Keeps a browser from running a response as a script of another site's page."""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_log = structlog.get_logger()


class RequestMiddleware:
    """ASGI middleware around an application that may raise any exception.

    Args:
        app: the wrapped application.
        metrics: count rejected requests and measure durations.
        explain: returns the response to an exception.

    """

    def __init__(self, app: ASGIApp, metrics: Metrics, explain: Callable[[Scope, Exception], Response]) -> None:
        self._app = app
        self._metrics = metrics
        self._explain = explain

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on an HTTP request, and add the request id to its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        scope[REQUEST_ID] = new_request_id()
        started = time.perf_counter()
        status: int | None = None

        async def send_stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                request_id = scope[REQUEST_ID].encode()
                headers = [*message["headers"], *((name, request_id) for name in ID_HEADERS), NOSNIFF]
                message["headers"] = clean_headers(headers)
            await send(message)

        try:
            try:
                await self._app(scope, receive, send_stamped)
            except ClientDisconnectedError:
                pass  # no response can be sent; the metrics have it as 499
            except Exception as error:
                if status is not None:
                    raise  # the response has started, so its status can't change
                if isinstance(error, ApiError):
                    self._metrics.refused.labels(error.failure.code).inc()
                await self._explain(scope, error)(scope, receive, send_stamped)
                if not isinstance(error, (ApiError, HTTPException)):
                    raise
        except Exception:  # noqa: BLE001 - a crash of one request must not be visible or affect others
            _log.exception("request.crashed", request_id=scope[REQUEST_ID])
        finally:
            self._observe(scope, status or CLIENT_CLOSED_REQUEST, time.perf_counter() - started)

    def _observe(self, scope: Scope, status: int, seconds: float) -> None:
        route = scope.get("route")
        # Text from the client must not become a label.
        path = route.path if route is not None else "unmatched"
        method = scope["method"] if scope["method"] in _METHODS else "_OTHER"
        self._metrics.requests.labels(method, path, str(status)).observe(seconds)
