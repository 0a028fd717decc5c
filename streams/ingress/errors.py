"""API errors of the ingress: one exception, and the HTTP response to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from starlette.responses import Response

from schemas.events.parts import Failure
from schemas.openai.bodies import error_body

SERVER_ERROR = "server_error"
"""OpenAI's type of an error that the caller did not cause."""
INVALID_REQUEST_ERROR = "invalid_request_error"
"""OpenAI's type of an error that the caller can correct."""

_SERVER_ERROR = 500
_TYPES = {403: "permission_error", 429: "rate_limit_error"}

DO_NOT_RETRY = {"x-should-retry": "false"}
"""Header of OpenAI's clients. Without it they retry every 5xx, which would be paid again."""


class ApiError(Exception):
    """Error that is sent to the client as an error object. Its message holds no content of the request."""

    def __init__(self, failure: Failure, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(failure.message)
        self.failure = failure
        self.headers = dict(headers or {})
        if failure.retry_after_ms is not None:
            self.headers |= retry_after(failure.retry_after_ms)


def retry_after(milliseconds: int) -> dict[str, str]:
    """Return the headers that say when to retry: HTTP's in whole seconds, and the finer one of OpenAI's clients."""
    milliseconds = max(milliseconds, 0)
    return {"retry-after": str(-(-milliseconds // 1000)), "retry-after-ms": str(milliseconds)}


def bad_request(code: str, message: str, param: str | None = None) -> ApiError:
    """Return a 400 error: the caller has to change the request."""
    return ApiError(Failure(status=400, type=INVALID_REQUEST_ERROR, code=code, message=message, param=param))


def unavailable(code: str, message: str) -> ApiError:
    """Return a 503 error: the same request may succeed after a second."""
    return ApiError(Failure(status=503, type=SERVER_ERROR, code=code, message=message, retry_after_ms=1000))


def internal_error(message: str) -> ApiError:
    """Return a 500 error: a fault of the gateway. A call may have been paid for, so clients must not retry."""
    return ApiError(Failure(status=500, type=SERVER_ERROR, code="internal_error", message=message), DO_NOT_RETRY)


def type_of(status: int, code: str) -> str:
    """Return OpenAI's error type for an HTTP status and a code, because ``requests`` does not store the type."""
    if code == "insufficient_quota":
        return code
    return _TYPES.get(status) or (SERVER_ERROR if status >= _SERVER_ERROR else INVALID_REQUEST_ERROR)


def to_response(error: ApiError, translate: Callable[[bytes], bytes] = lambda body: body) -> Response:
    """Return the HTTP response; ``translate`` turns OpenAI's error object into another API's."""
    failure = error.failure
    return Response(translate(error_body(failure)), failure.status, error.headers, media_type="application/json")
